package main

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// leavesPerBatch bounds memory: 16 tiles of hashes, and their bundles one after the other.
const leavesPerBatch = 16 * tileWidth

// A problem is the reason why a log is not verified, and the first index that it concerns.
type problem struct {
	first int64
	// last is set where only a range is known.
	last int64
	what string
}

func (p *problem) Error() string {
	if p.last > p.first {
		return fmt.Sprintf("index %d to %d: %s", p.first, p.last, p.what)
	}
	return fmt.Sprintf("index %d: %s", p.first, p.what)
}

// verifyLog checks the whole log. The older checkpoint may be nil.
func verifyLog(log source, keys logKeys, witnesses quorum, oldSigned []byte) (head, error) {
	signed, err := log.read("checkpoint", noteBytesMax)
	if _, served := log.(*website); served && errors.Is(err, errMissing) {
		// A server says of another instance's log what it says of one that does not exist.
		return head{}, errors.New("checkpoint: is missing (or the token is not of this instance)")
	}
	if err != nil {
		return head{}, fmt.Errorf("checkpoint: %w", err)
	}
	now, err := openCheckpoint(signed, keys, witnesses)
	if err != nil {
		return head{}, fmt.Errorf("checkpoint: %w", err)
	}
	old := head{Tree: tlog.Tree{N: -1}}
	if oldSigned != nil {
		if old, err = openCheckpoint(oldSigned, keys, quorum{}); err != nil {
			return head{}, fmt.Errorf("older checkpoint: %w", err)
		}
		if old.N > now.N {
			return head{}, &problem{first: now.N, last: old.N - 1,
				what: fmt.Sprintf("rolled back: an older checkpoint has size %d, this one %d", old.N, now.N)}
		}
	}

	tiles := newTileReader(log)
	if err := tiles.checkEdge(now); err != nil {
		return head{}, err
	}
	hashes := tlog.TileHashReader(now.Tree, tiles)
	fold := &edge{}
	if err := fold.checkOld(old, now); err != nil {
		return head{}, err
	}
	for start := int64(0); start < now.N; start += leavesPerBatch {
		end := min(start+leavesPerBatch, now.N)
		leaves, err := readLeaves(hashes, tiles, now, start, end)
		if err != nil {
			return head{}, err
		}
		for first := start; first < end; first += tileWidth {
			count := min(tileWidth, end-first)
			if err := checkBundle(log, first, leaves[first-start:first-start+count]); err != nil {
				return head{}, err
			}
		}
		for _, leaf := range leaves {
			fold.append(leaf)
			if err := fold.checkOld(old, now); err != nil {
				return head{}, err
			}
		}
	}
	// The root once more, from the leaves alone: what the reader of tiles may have missed can't be missed here.
	if fold.root() != now.Hash {
		return head{}, &problem{first: 0, last: now.N - 1, what: "root mismatch: the entries do not give the checkpoint's root"}
	}
	return now, nil
}

// readLeaves reads the leaf hashes start to end-1, authenticated by the checkpoint's root.
func readLeaves(hashes tlog.HashReader, tiles *tileReader, now head, start, end int64) ([]tlog.Hash, error) {
	indexes := make([]int64, 0, end-start)
	for i := start; i < end; i++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, i))
	}
	leaves, err := hashes.ReadHashes(indexes)
	var unread *problem
	if errors.As(err, &unread) {
		return nil, err
	}
	if tile, data, parentSays, found := tiles.findBrokenTile(); found {
		return nil, diagnoseTile(tiles, now, tile, data, parentSays)
	}
	if err != nil {
		return nil, &problem{first: start, last: end - 1, what: fmt.Sprintf("the tiles of these entries do not hold: %v", err)}
	}
	return leaves, nil
}

// readEntries reads the bundle of the tile that begins at first; where a partial one is gone, the beginning of the full one.
func readEntries(log source, first int64, count int) (path string, entries [][]byte, fault, err error) {
	tile := tlog.Tile{H: tileHeight, L: -1, N: first / tileWidth, W: count}
	path = bundlePath(tile)
	data, err := log.read(path, bundleBytesMax)
	if errors.Is(err, errMissing) && count < tileWidth {
		tile.W = tileWidth
		if data, err = log.read(bundlePath(tile), bundleBytesMax); err == nil {
			path = bundlePath(tile)
			entries, fault = readBundle(data)
			return path, entries[:min(count, len(entries))], fault, nil
		}
	}
	if err != nil {
		return path, nil, nil, err
	}
	entries, fault = readBundle(data)
	return path, entries, fault, nil
}

func bundlePath(tile tlog.Tile) string {
	tile.L = 0
	return "tile/entries" + tilePath(tile)[len("tile/0"):]
}

// checkBundle compares every entry of a bundle with its authenticated leaf hash.
func checkBundle(log source, first int64, leaves []tlog.Hash) error {
	path, entries, fault, err := readEntries(log, first, len(leaves))
	if err != nil {
		return &problem{first: first, what: fmt.Sprintf("%s %v", path, err)}
	}
	for i, entry := range entries {
		at := first + int64(i)
		if i >= len(leaves) {
			return &problem{first: at, what: fmt.Sprintf("surplus entries: %s has %d entries, not %d", path, len(entries), len(leaves))}
		}
		if got := tlog.RecordHash(entry); got != leaves[i] {
			return &problem{first: at, what: nameEntryFault(got, i, len(entries), first, leaves)}
		}
	}
	if len(entries) < len(leaves) {
		at := first + int64(len(entries))
		if fault != nil {
			return &problem{first: at, what: fmt.Sprintf("%s: %v", path, fault)}
		}
		return &problem{first: at, what: fmt.Sprintf("missing entries: %s has %d entries, not %d", path, len(entries), len(leaves))}
	}
	if fault != nil {
		return &problem{first: first + int64(len(leaves)), what: fmt.Sprintf("%s: %v", path, fault)}
	}
	return nil
}

// nameEntryFault says what is wrong with an entry whose hash is not that of its leaf.
func nameEntryFault(got tlog.Hash, i, count int, first int64, leaves []tlog.Hash) string {
	for j, leaf := range leaves {
		if leaf != got {
			continue
		}
		switch {
		case count < len(leaves) && j > i:
			return fmt.Sprintf("missing entries: entry %d stands here, the bundle has %d entries, not %d", first+int64(j), count, len(leaves))
		case count > len(leaves):
			return fmt.Sprintf("surplus entries: entry %d stands here once more, the bundle has %d entries, not %d", first+int64(j), count, len(leaves))
		default:
			return fmt.Sprintf("wrong order: entry %d stands here", first+int64(j))
		}
	}
	if count > len(leaves) {
		return fmt.Sprintf("surplus entries: the entry is not in the tree, the bundle has %d entries, not %d", count, len(leaves))
	}
	return "entry altered: its hash is not that in the tree"
}
