// Command verify-proof judges an offline proof (c2sp.org/tlog-proof@v1) with somebody else's implementation of it,
// filippo.io/torchwood: that the entry is in the log, that the log signed it, and that so many witnesses cosigned it.
//
//	verify-proof -proof F -entry F -vkey KEY [-witness KEY ...] [-quorum N]
//
// Exit codes: 0 verified, 1 not verified, 2 wrong usage.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func main() {
	var witnesses list
	proofFile := flag.String("proof", "", "`file` with the proof")
	entryFile := flag.String("entry", "", "`file` with the entry")
	vkey := flag.String("vkey", "", "verifier `key` of the log")
	flag.Var(&witnesses, "witness", "verifier `key` of a witness; may be repeated")
	quorum := flag.Int("quorum", -1, "so `many` witnesses must have cosigned; by default all")
	flag.Parse()

	proof, err := os.ReadFile(*proofFile)
	usage(err)
	entry, err := os.ReadFile(*entryFile)
	usage(err)
	verifier, err := note.NewVerifier(*vkey)
	usage(err)
	policies := []torchwood.Policy{torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier)}
	if len(witnesses) > 0 {
		var each []torchwood.Policy
		for _, key := range witnesses {
			one, err := torchwood.NewCosignatureVerifier(key)
			usage(err)
			each = append(each, torchwood.SingleVerifierPolicy(one))
		}
		if *quorum < 0 {
			*quorum = len(each)
		}
		policies = append(policies, torchwood.ThresholdPolicy(*quorum, each...))
	}
	policy := torchwood.ThresholdPolicy(len(policies), policies...)
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), proof); err != nil {
		fmt.Printf("not verified: %v\n", err)
		os.Exit(1)
	}
	fmt.Println("verified")
}

func usage(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "verify-proof: %v\n", err)
		os.Exit(2)
	}
}
