package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	fetchesMax     = 8
	cachedTilesMax = 1024
)

// A tileReader reads tiles for tlog.TileHashReader. Tiles above level 0 are asked for with every batch of leaves, so they
// are cached; memory stays bounded.
type tileReader struct {
	log   source
	cache map[tlog.Tile][]byte
	// What the last ReadTiles returned: TileHashReader says only that some tile is inconsistent, not which.
	tiles []tlog.Tile
	data  [][]byte
}

func newTileReader(log source) *tileReader {
	return &tileReader{log: log, cache: make(map[tlog.Tile][]byte)}
}

func (r *tileReader) Height() int { return tileHeight }

// SaveTiles is called with tiles that are held to be authentic. TileHashReader of x/mod v0.33.0 skips some of them: its
// loop over children begins at the number of subtrees in the right edge, not at the number of tiles that hold them. So
// nothing is kept here, and findBrokenTile checks every tile against its parent.
func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	errs := make([]error, len(tiles))
	var running sync.WaitGroup
	slots := make(chan struct{}, fetchesMax)
	for i, tile := range tiles {
		if cached, ok := r.cache[tile]; ok {
			data[i] = cached
			continue
		}
		running.Add(1)
		slots <- struct{}{}
		go func() {
			defer running.Done()
			data[i], errs[i] = r.fetch(tile)
			<-slots
		}()
	}
	running.Wait()
	if len(r.cache) > cachedTilesMax {
		clear(r.cache)
	}
	for i, tile := range tiles {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if tile.L > 0 {
			r.cache[tile] = data[i]
		}
	}
	r.tiles, r.data = tiles, data
	return data, nil
}

// fetch reads one tile; where a partial one is gone, the beginning of the full one.
func (r *tileReader) fetch(tile tlog.Tile) ([]byte, error) {
	want := tile.W * tlog.HashSize
	data, err := r.log.read(tilePath(tile), tileWidth*tlog.HashSize)
	if errors.Is(err, errMissing) && tile.W < tileWidth {
		full := tile
		full.W = tileWidth
		if data, err = r.log.read(tilePath(full), tileWidth*tlog.HashSize); err == nil && len(data) == tileWidth*tlog.HashSize {
			data = data[:want]
		} else {
			err = errMissing
		}
	}
	if err == nil && len(data) != want {
		err = fmt.Errorf("is malformed: %d bytes where %d hashes take %d", len(data), tile.W, want)
	}
	if err != nil {
		return nil, &problem{first: firstLeaf(tile), what: fmt.Sprintf("%s %v", tilePath(tile), err)}
	}
	return data, nil
}

// tilePath is the path of c2sp.org/tlog-tiles: that of x/mod without the tile height.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

func firstLeaf(tile tlog.Tile) int64 { return tile.N << (tileHeight * (tile.L + 1)) }

func lastLeaf(tile tlog.Tile) int64 {
	return (tile.N<<tileHeight+int64(tile.W))<<(tileHeight*tile.L) - 1
}

// tileIn is the tile of that level and number in a tree of size n; its width is 0 if there is none.
func tileIn(level int, number, n int64) tlog.Tile {
	width := n>>(tileHeight*level) - number<<tileHeight
	return tlog.Tile{H: tileHeight, L: level, N: number, W: int(max(0, min(width, tileWidth)))}
}

func tileHash(data []byte, i int64) tlog.Hash {
	return tlog.Hash(data[i*tlog.HashSize : (i+1)*tlog.HashSize])
}

// fullTileRoot is the root of the full subtree over the hashes in data, a power of two of them.
func fullTileRoot(data []byte) tlog.Hash {
	hashes := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		hashes[i] = tileHash(data, int64(i))
	}
	for ; len(hashes) > 1; hashes = hashes[:len(hashes)/2] {
		for i := range len(hashes) / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}

// checkEdge checks that the tiles at the right edge of the tree give the checkpoint's root. All other tiles hang from them.
func (r *tileReader) checkEdge(now head) error {
	if now.N == 0 {
		return nil
	}
	var subtrees []tlog.Hash // the largest, and leftmost, first
	for level := topLevel(now.N); level >= 0; level-- {
		tile := tileIn(level, now.N>>(tileHeight*(level+1)), now.N)
		if tile.W == 0 {
			continue
		}
		data, err := r.fetch(tile)
		if err != nil {
			return err
		}
		for count, at := tileWidth/2, 0; count > 0; count /= 2 {
			if tile.W&count != 0 {
				subtrees = append(subtrees, fullTileRoot(data[at*tlog.HashSize:(at+count)*tlog.HashSize]))
				at += count
			}
		}
	}
	root := subtrees[len(subtrees)-1]
	for i := len(subtrees) - 2; i >= 0; i-- {
		root = tlog.NodeHash(subtrees[i], root)
	}
	if root != now.Hash {
		return diagnoseEdge(r, now)
	}
	return nil
}

// topLevel is the highest tile level of a tree of size n.
func topLevel(n int64) int {
	level := 0
	for n>>(tileHeight*(level+1)) > 0 {
		level++
	}
	return level
}

// findBrokenTile returns the first full tile of the last read, highest level first, that does not hash to what its parent
// says. Parents stand before their children, so the parent of the tile returned can be relied on.
func (r *tileReader) findBrokenTile() (broken tlog.Tile, data []byte, parentSays tlog.Hash, found bool) {
	read := make(map[tlog.Tile][]byte)
	for i, tile := range r.tiles {
		read[tlog.Tile{H: tile.H, L: tile.L, N: tile.N}] = r.data[i]
	}
	for i, tile := range r.tiles {
		parent, ok := read[tlog.Tile{H: tile.H, L: tile.L + 1, N: tile.N >> tileHeight}]
		if tile.W != tileWidth || !ok {
			continue
		}
		want := tileHash(parent, tile.N%tileWidth)
		if fullTileRoot(r.data[i]) == want || (found && broken.L >= tile.L) {
			continue
		}
		broken, data, parentSays, found = tile, r.data[i], want, true
	}
	return broken, data, parentSays, found
}
