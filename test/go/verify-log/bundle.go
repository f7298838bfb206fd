package main

import (
	"encoding/binary"
	"fmt"
)

const (
	tileHeight     = 8
	tileWidth      = 1 << tileHeight
	entryBytesMax  = 1<<16 - 1
	bundleBytesMax = tileWidth * (2 + entryBytesMax)
)

// readBundle takes an entry bundle of c2sp.org/tlog-tiles apart as far as it goes. A fault concerns the entry after the
// last one returned.
func readBundle(data []byte) (entries [][]byte, fault error) {
	for len(data) > 0 {
		if len(data) < 2 {
			return entries, fmt.Errorf("malformed bundle: it ends inside a length prefix")
		}
		length := int(binary.BigEndian.Uint16(data))
		data = data[2:]
		if len(data) < length {
			return entries, fmt.Errorf("malformed bundle: the entry should have %d bytes, the bundle ends after %d", length, len(data))
		}
		entries = append(entries, data[:length])
		data = data[length:]
	}
	return entries, nil
}
