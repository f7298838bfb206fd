package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1\n"

// verifyProof checks an offline proof, c2sp.org/tlog-proof@v1, that the entry is in the log. It needs no network.
func verifyProof(proof, entry []byte, keys logKeys, witnesses quorum) (index int64, of head, err error) {
	top, checkpoint, found := bytes.Cut(proof, []byte("\n\n"))
	body, isProof := strings.CutPrefix(string(top)+"\n", proofHeader)
	if !found || !isProof {
		return 0, head{}, errors.New("proof: malformed: it is no c2sp.org/tlog-proof@v1")
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		if _, err := base64.StdEncoding.Strict().DecodeString(extra); err != nil {
			return 0, head{}, errors.New("proof: malformed: the extra data is not base64")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return 0, head{}, errors.New("proof: malformed: the index is missing")
	}
	digits, ok := strings.CutPrefix(lines[0], "index ")
	index, err = strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || index < 0 || strconv.FormatInt(index, 10) != digits {
		return 0, head{}, errors.New("proof: malformed: the index is no number")
	}
	path := make(tlog.RecordProof, 0, len(lines)-1)
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return 0, head{}, errors.New("proof: malformed: a hash is not 32 bytes in base64")
		}
		path = append(path, tlog.Hash(hash))
	}
	of, err = openCheckpoint(checkpoint, keys, witnesses)
	if err != nil {
		return 0, head{}, fmt.Errorf("checkpoint: %w", err)
	}
	if index >= of.N {
		return 0, head{}, fmt.Errorf("proof: index %d is not in a log of %d entries", index, of.N)
	}
	if err := tlog.CheckRecord(path, of.N, of.Hash, index, tlog.RecordHash(entry)); err != nil {
		return 0, head{}, fmt.Errorf("proof: the entry is not in the log at index %d", index)
	}
	return index, of, nil
}
