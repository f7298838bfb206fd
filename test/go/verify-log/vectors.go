package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A vector is one case of test/vectors/cases.json (test/vectors/tampered.ts says what the fields mean).
type vector struct {
	Name      string
	Kind      string
	File      string
	Missing   []string
	Entry     string
	Older     string
	Witnesses []string
	Quorum    int
	Expected  *struct{ Theirs string }
}

// An overlay is a log of which some files are replaced and some are missing.
type overlay struct {
	over, base folder
	missing    []string
}

func (o overlay) read(path string, limit int64) ([]byte, error) {
	if slices.Contains(o.missing, path) {
		return nil, errMissing
	}
	data, err := o.over.read(path, limit)
	if o.over.root == "" || errors.Is(err, errMissing) {
		return o.base.read(path, limit)
	}
	return data, err
}

// checkVectors runs every case; it returns the number of cases, and one line for each whose verdict is not the one expected.
func checkVectors(root string) (count int, wrong []string, err error) {
	var keys struct {
		Log       string
		Witnesses map[string]string
	}
	var cases []vector
	if err := readJSON(filepath.Join(root, "keys.json"), &keys); err != nil {
		return 0, nil, err
	}
	if err := readJSON(filepath.Join(root, "cases.json"), &cases); err != nil {
		return 0, nil, err
	}
	logKeys, err := parseLogKeys([]string{keys.Log})
	if err != nil {
		return 0, nil, err
	}
	for _, one := range cases {
		vkeys := make([]string, len(one.Witnesses))
		for i, name := range one.Witnesses {
			vkeys[i] = keys.Witnesses[name]
		}
		witnesses, err := parseQuorum(vkeys, one.Quorum)
		if err != nil {
			return 0, nil, err
		}
		verdict := one.check(root, logKeys, witnesses)
		switch {
		case one.Expected == nil && verdict != nil:
			wrong = append(wrong, fmt.Sprintf("%s: should hold, but: %v", one.Name, verdict))
		case one.Expected != nil && verdict == nil:
			wrong = append(wrong, fmt.Sprintf("%s: should not hold", one.Name))
		case one.Expected != nil && !strings.Contains(verdict.Error(), one.Expected.Theirs):
			wrong = append(wrong, fmt.Sprintf("%s: should say %q, says %q", one.Name, one.Expected.Theirs, verdict))
		}
	}
	return len(cases), wrong, nil
}

func (v vector) check(root string, keys logKeys, witnesses quorum) error {
	path := filepath.Join(root, filepath.FromSlash(v.File))
	switch v.Kind {
	case "log":
		var older []byte
		if v.Older != "" {
			data, err := os.ReadFile(filepath.Join(root, v.Older))
			if err != nil {
				return err
			}
			older = data
		}
		log := overlay{base: folder{filepath.Join(root, "log")}, missing: v.Missing}
		if v.File != "" {
			log.over = folder{path}
		}
		_, err := verifyLog(log, keys, witnesses, older)
		return err
	case "checkpoint":
		data, err := os.ReadFile(path)
		if err == nil {
			_, err = openCheckpoint(data, keys, witnesses)
		}
		return err
	case "proof":
		proof, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		entry, err := os.ReadFile(filepath.Join(root, v.Entry))
		if err != nil {
			return err
		}
		_, _, err = verifyProof(proof, entry, keys, witnesses)
		return err
	case "consistency":
		return checkConsistency(path)
	case "disclosure":
		return checkDisclosure(path)
	case "box":
		return checkBox(path)
	}
	return fmt.Errorf("unknown kind %q", v.Kind)
}

func checkConsistency(path string) error {
	var of struct {
		From, To         int64
		FromRoot, ToRoot []byte
		Hashes           [][]byte
	}
	if err := readJSON(path, &of); err != nil {
		return err
	}
	proof := make(tlog.TreeProof, len(of.Hashes))
	for i, hash := range of.Hashes {
		proof[i] = tlog.Hash(hash)
	}
	if err := tlog.CheckTree(proof, of.To, tlog.Hash(of.ToRoot), of.From, tlog.Hash(of.FromRoot)); err != nil {
		return fmt.Errorf("the log of size %d does not extend that of size %d", of.To, of.From)
	}
	return nil
}

// checkDisclosure compares SHA-256(salt || plaintext) of each chunk with the commitments in the entry.
func checkDisclosure(path string) error {
	var of struct {
		Entry  []byte
		Part   string
		Chunks []struct {
			Commitment      string
			Salt, Plaintext []byte
		}
	}
	if err := readJSON(path, &of); err != nil {
		return err
	}
	var entry struct {
		Parts []struct{ Name, Commitment string }
	}
	if err := json.Unmarshal(of.Entry, &entry); err != nil {
		return err
	}
	var committed []string
	for _, part := range entry.Parts {
		if part.Name == of.Part {
			committed = append(committed, part.Commitment)
		}
	}
	if len(committed) == 0 || len(committed) != len(of.Chunks) {
		return fmt.Errorf("the entry has %d chunks of this part, not %d", len(committed), len(of.Chunks))
	}
	for i, chunk := range of.Chunks {
		sum := sha256.Sum256(append(slices.Clone(chunk.Salt), chunk.Plaintext...))
		if hex.EncodeToString(sum[:]) != committed[i] {
			return fmt.Errorf("chunk %d is not what the entry commits to", i)
		}
	}
	return nil
}

// checkBox opens a document with one box in it (docs/log-format.md, "Payload") and compares the part inside.
func checkBox(path string) error {
	var of struct {
		Instance, Of, Subject, Event, ID, Salt, Directory, Boxes, Plaintext, PartSalt string
		Secrets                                                                       struct{ ClassMonth, SubjectClass string }
	}
	if err := readJSON(path, &of); err != nil {
		return err
	}
	bytes := func(text string) []byte { data, _ := hex.DecodeString(text); return data }
	id := sha256.Sum256(slices.Concat([]byte("trailkeeper/boxes/v2\n"+of.Of+"\n"), bytes(of.Salt), bytes(of.Directory)))
	if hex.EncodeToString(id[:]) != of.ID {
		return errors.New("the document is not the one it is named by")
	}
	key := of.Of + "/" + of.Subject
	dataKey, err := hkdf.Key(sha256.New, append(bytes(of.Secrets.ClassMonth), bytes(of.Secrets.SubjectClass)...), nil,
		"trailkeeper/data/v1/"+of.Instance+"/"+key, 32)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, dataKey)
	mac.Write(slices.Concat([]byte("trailkeeper/box/v2"), bytes(of.Salt), []byte{1}))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	events := bytes(strings.ReplaceAll(of.Event, "-", ""))
	data := slices.Concat([]byte("trailkeeper/box/v2\n"+of.Instance+"\n"+key+"\n"), events)
	plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), bytes(of.Boxes), data)
	if err != nil {
		return errors.New("the box can't be opened")
	}
	// Number of the event, position of the part, salt, length, plaintext.
	if len(plain) < 40 || int(binary.BigEndian.Uint32(plain[36:40])) != len(plain)-40 {
		return errors.New("the part in the box is malformed")
	}
	if hex.EncodeToString(plain[4:36]) != of.PartSalt || string(plain[40:]) != of.Plaintext {
		return errors.New("the box holds something else")
	}
	return nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
