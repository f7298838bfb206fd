package main

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// diagnoseTile finds out which index of a tile that does not hash to what its parent says is bad.
func diagnoseTile(tiles *tileReader, now head, tile tlog.Tile, data []byte, parentSays tlog.Hash) error {
	if tile.L > 0 {
		if err := diagnoseUpperTile(tiles, now, tile, data); err != nil {
			return err
		}
		return &problem{first: firstLeaf(tile), last: lastLeaf(tile),
			what: fmt.Sprintf("tile altered: %s and the tiles below it are inconsistent with the checkpoint", tilePath(tile))}
	}
	first := firstLeaf(tile)
	_, entries, fault, err := readEntries(tiles.log, first, tile.W)
	if err == nil && fault == nil && len(entries) == tile.W {
		computed := make([]byte, 0, len(data))
		for _, entry := range entries {
			hash := tlog.RecordHash(entry)
			computed = append(computed, hash[:]...)
		}
		if fullTileRoot(computed) == parentSays {
			return &problem{first: first + int64(firstDifference(computed, data)),
				what: fmt.Sprintf("tile altered: %s is inconsistent with the checkpoint, the entry is not", tilePath(tile))}
		}
		if bytes.Equal(computed, data) {
			return &problem{first: first, last: lastLeaf(tile),
				what: fmt.Sprintf("entry altered: one or more of these entries, and %s with them", tilePath(tile))}
		}
	}
	return &problem{first: first, last: lastLeaf(tile),
		what: fmt.Sprintf("tile altered: %s is inconsistent with the checkpoint", tilePath(tile))}
}

// diagnoseUpperTile compares a tile above level 0 with its children, to find the first hash in it that was altered; nil if
// it agrees with all of them.
func diagnoseUpperTile(tiles *tileReader, now head, tile tlog.Tile, data []byte) error {
	what := fmt.Sprintf("tile altered: %s is inconsistent with the checkpoint", tilePath(tile))
	for i := range int64(tile.W) {
		child := tileIn(tile.L-1, tile.N<<tileHeight+i, now.N)
		below, err := tiles.fetch(child)
		if err != nil {
			return err
		}
		if fullTileRoot(below) != tileHash(data, i) {
			return &problem{first: firstLeaf(child), last: lastLeaf(child), what: what}
		}
	}
	return nil
}

// diagnoseEdge is for a right edge that does not give the checkpoint's root: it looks for the tile that is at fault.
func diagnoseEdge(tiles *tileReader, now head) error {
	for level := topLevel(now.N); level >= 0; level-- {
		tile := tileIn(level, now.N>>(tileHeight*(level+1)), now.N)
		if tile.W == 0 {
			continue
		}
		data, err := tiles.fetch(tile)
		if err != nil {
			return err
		}
		if level > 0 {
			if err := diagnoseUpperTile(tiles, now, tile, data); err != nil {
				return err
			}
			continue
		}
		_, entries, _, err := readEntries(tiles.log, firstLeaf(tile), tile.W)
		if err != nil {
			continue
		}
		for i, entry := range entries {
			if i < tile.W && tlog.RecordHash(entry) != tileHash(data, int64(i)) {
				return &problem{first: firstLeaf(tile) + int64(i),
					what: fmt.Sprintf("tile altered: %s is inconsistent with the checkpoint, and with the entry", tilePath(tile))}
			}
		}
	}
	return &problem{first: 0, last: now.N - 1, what: "root mismatch: the tiles do not give the checkpoint's root"}
}

// firstDifference is the number of the first hash in which two tiles differ.
func firstDifference(a, b []byte) int {
	for i := 0; i < len(a); i += tlog.HashSize {
		if !bytes.Equal(a[i:i+tlog.HashSize], b[i:i+tlog.HashSize]) {
			return i / tlog.HashSize
		}
	}
	return 0
}
