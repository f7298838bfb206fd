package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const algorithmCosignature = 4

// A witness verifies cosignatures of c2sp.org/tlog-cosignature (Ed25519) as if they were signatures of a note.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

// Verify checks the time and the signature that follow the key id.
func (w *witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature)
	if seconds > 1<<63-1 {
		return false
	}
	message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
	return ed25519.Verify(w.key, message, signature[8:])
}

// parseWitness reads a verifier key of type 4: name+keyid+base64.
func parseWitness(vkey string) (*witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 || parts[0] == "" || len(parts[1]) != 8 {
		return nil, errors.New("malformed verifier key")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, errors.New("malformed verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algorithmCosignature {
		return nil, errors.New("not an Ed25519 key for cosignatures (type 4)")
	}
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if binary.BigEndian.Uint32(digest[:]) != uint32(hash) {
		return nil, errors.New("the key id is not that of name and key")
	}
	return &witness{parts[0], uint32(hash), key[1:]}, nil
}

// A quorum demands cosignatures by so many of the witnesses.
type quorum struct {
	witnesses []*witness
	threshold int
}

func (q quorum) verifiers() []note.Verifier {
	all := make([]note.Verifier, len(q.witnesses))
	for i, one := range q.witnesses {
		all[i] = one
	}
	return all
}

// check counts the witnesses among verified signatures, each once.
func (q quorum) check(verified []note.Signature) error {
	count := 0
	for _, one := range q.witnesses {
		for _, signature := range verified {
			if signature.Name == one.name && signature.Hash == one.hash {
				count++
				break
			}
		}
	}
	if count < q.threshold {
		return fmt.Errorf("not witnessed: %d of %d witnesses cosigned it, %d must", count, len(q.witnesses), q.threshold)
	}
	return nil
}
