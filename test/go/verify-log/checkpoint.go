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

// openCheckpoint checks the signature by the key and reads the text, c2sp.org/tlog-checkpoint. The log's origin is the
// name of its key.
func openCheckpoint(signed []byte, vkey string) (head, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return head{}, &keyError{err}
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
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
	if lines[0] != verifier.Name() {
		return head{}, fmt.Errorf("wrong origin: it is of %q, not of %q", lines[0], verifier.Name())
	}
	return head{lines[0], tlog.Tree{N: size, Hash: tlog.Hash(root)}}, nil
}
