package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const noteBytesMax = 1 << 20

// A head is what a checkpoint says of a log.
type head struct {
	origin string
	tlog.Tree
}

// A keyError says that the verifier key itself is no good: wrong usage, and no verdict on the log.
type keyError struct{ err error }

func (e *keyError) Error() string { return fmt.Sprintf("the verifier key can't be used: %v", e.err) }

// logKeys are the keys of one log: more than one where it changed its key. All have the log's origin as their name.
type logKeys []note.Verifier

func parseLogKeys(vkeys []string) (logKeys, error) {
	var keys logKeys
	for _, vkey := range vkeys {
		key, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, &keyError{err}
		}
		if len(keys) > 0 && keys[0].Name() != key.Name() {
			return nil, &keyError{errors.New("the keys are of different logs")}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// openCheckpoint checks the log's signature and the cosignatures, and reads the text, c2sp.org/tlog-checkpoint. The
// log's origin is the name of its keys.
func openCheckpoint(signed []byte, keys logKeys, witnesses quorum) (head, error) {
	opened, err := note.Open(signed, note.VerifierList(append(witnesses.verifiers(), keys...)...))
	if err != nil {
		return head{}, err
	}
	origin := keys[0].Name()
	byLog := false
	for _, signature := range opened.Sigs {
		for _, key := range keys {
			byLog = byLog || (signature.Name == key.Name() && signature.Hash == key.KeyHash())
		}
	}
	if !byLog {
		return head{}, errors.New("not signed by a key of the log")
	}
	if err := witnesses.check(opened.Sigs); err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return head{}, errors.New("malformed: fewer than three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, errors.New("malformed: line 2 is no tree size")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return head{}, errors.New("malformed: line 3 is no root hash")
	}
	if lines[0] != origin {
		return head{}, fmt.Errorf("wrong origin: it is of %q, not of %q", lines[0], origin)
	}
	return head{lines[0], tlog.Tree{N: size, Hash: tlog.Hash(root)}}, nil
}
