// Command write-vectors prints, as JSON, what golang.org/x/mod/sumdb makes of fixed inputs: signed notes, roots, proofs
// and tiles. The result is test/tree/vectors/sumdb.json; to make it again:
//
//	(cd test/go && go run ./write-vectors) > test/tree/vectors/sumdb.json && npx oxfmt test/tree/vectors/sumdb.json
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type signedNote struct {
	Name   string `json:"name"`
	Seed   string `json:"seed"`
	Public string `json:"public"`
	Vkey   string `json:"vkey"`
	Text   string `json:"text"`
	Note   string `json:"note"`
}

type proof struct {
	From   int64    `json:"from"`
	Size   int64    `json:"size"`
	Hashes []string `json:"hashes"`
}

type tile struct {
	Path string `json:"path"`
	Hex  string `json:"hex"`
}

type vectors struct {
	Notes       []signedNote      `json:"notes"`
	CoSigned    string            `json:"coSigned"`
	EntryFormat string            `json:"entryFormat"`
	Roots       map[string]string `json:"roots"`
	Inclusion   []proof           `json:"inclusion"`
	Consistency []proof           `json:"consistency"`
	TilesOf     int64             `json:"tilesOf"`
	Tiles       []tile            `json:"tiles"`
}

// The keys are made from these seeds, so that every run gives the same bytes. They sign nothing but this.
func signer(name string, fill byte) (note.Signer, signedNote) {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = fill
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(name, public)
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	made, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, verifier.KeyHash(), private))
	check(err)
	return made, signedNote{Name: name, Seed: hex.EncodeToString(seed), Public: hex.EncodeToString(public), Vkey: vkey}
}

func main() {
	const size = 70_000
	out := vectors{EntryFormat: "entry %d", Roots: map[string]string{}, TilesOf: 600}

	var signers []note.Signer
	for i, name := range []string{"log.example/4f1c", "example.com/behind-the-sofa", "\u00fcnic\u00f6de.example/log"} {
		made, vector := signer(name, byte(i+1))
		signers = append(signers, made)
		vector.Text = fmt.Sprintf("%s\n%d\n%s\n", name, i*1000, base64.StdEncoding.EncodeToString(make([]byte, 32)))
		if i == 2 {
			vector.Text = "a text\n\nwith an empty line\n"
		}
		signed, err := note.Sign(&note.Note{Text: vector.Text}, made)
		check(err)
		vector.Note = string(signed)
		out.Notes = append(out.Notes, vector)
	}
	coSigned, err := note.Sign(&note.Note{Text: out.Notes[0].Text}, signers...)
	check(err)
	out.CoSigned = string(coSigned)

	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	wanted := map[int64]bool{1: true, 2: true, 7: true, 255: true, 256: true, 257: true, 600: true, 65535: true, 65536: true, 65537: true, size: true}
	for i := int64(0); i < size; i++ {
		more, err := tlog.StoredHashes(i, fmt.Appendf(nil, out.EntryFormat, i), hashes)
		check(err)
		stored = append(stored, more...)
		if wanted[i+1] {
			root, err := tlog.TreeHash(i+1, hashes)
			check(err)
			out.Roots[fmt.Sprint(i+1)] = hex.EncodeToString(root[:])
		}
	}
	for _, c := range [][2]int64{{0, 1}, {0, 257}, {256, 257}, {300, 600}, {65535, 65537}, {65536, 65537}, {12345, size}} {
		found, err := tlog.ProveRecord(c[1], c[0], hashes)
		check(err)
		out.Inclusion = append(out.Inclusion, proof{c[0], c[1], encode(found)})
	}
	for _, c := range [][2]int64{{1, 2}, {1, 257}, {256, 600}, {257, 600}, {65536, size}, {65537, size}, {69999, size}} {
		found, err := tlog.ProveTree(c[1], c[0], hashes)
		check(err)
		out.Consistency = append(out.Consistency, proof{c[0], c[1], encode(found)})
	}
	for _, t := range tlog.NewTiles(8, 0, out.TilesOf) {
		data, err := tlog.ReadTileData(t, hashes)
		check(err)
		// C2SP's paths are x/mod's without the height.
		out.Tiles = append(out.Tiles, tile{"tile/" + t.Path()[len("tile/8/"):], hex.EncodeToString(data)})
	}

	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	check(encoder.Encode(out))
}

func encode[T ~[]tlog.Hash](hashes T) []string {
	out := make([]string, len(hashes))
	for i, hash := range hashes {
		out[i] = hex.EncodeToString(hash[:])
	}
	return out
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
