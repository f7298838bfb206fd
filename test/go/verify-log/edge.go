package main

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// An edge is the right edge of a growing tree: the roots of its maximal full subtrees, the largest first.
type edge struct {
	size   int64
	hashes []tlog.Hash
}

func (e *edge) append(leaf tlog.Hash) {
	e.size++
	e.hashes = append(e.hashes, leaf)
	for rest := e.size; rest%2 == 0; rest /= 2 {
		last := len(e.hashes) - 1
		e.hashes[last-1] = tlog.NodeHash(e.hashes[last-1], e.hashes[last])
		e.hashes = e.hashes[:last]
	}
}

func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		return emptyRoot
	}
	last := len(e.hashes) - 1
	root := e.hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(e.hashes[i], root)
	}
	return root
}

// checkOld compares the root at the size of the older checkpoint, when the tree has just that size.
func (e *edge) checkOld(old, now head) error {
	if e.size != old.N || e.root() == old.Hash {
		return nil
	}
	return &problem{first: 0, last: max(0, old.N-1),
		what: fmt.Sprintf("forked: the log of size %d does not extend the older checkpoint of size %d", now.N, old.N)}
}

// emptyRoot is SHA-256 of nothing.
var emptyRoot = tlog.Hash(sha256.Sum256(nil))
