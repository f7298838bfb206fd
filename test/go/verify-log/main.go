// Command verify-log judges a log from outside: with golang.org/x/mod/sumdb alone, and a key that it is given, it opens
// the checkpoint, reads every leaf hash through the tiles and every entry through the bundles, and checks them all.
//
// With -proof it checks one offline proof (c2sp.org/tlog-proof) against one entry instead, and needs no log. With -witness
// the checkpoint must be cosigned by so many of these witnesses as -quorum says, by default by all.
//
// It prints one line. Exit codes: 0 verified, 1 not verified (the line names the first bad index and what is wrong),
// 2 wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

const (
	exitNotVerified = 1
	exitUsage       = 2
)

func main() {
	flags := flag.NewFlagSet("verify-log", flag.ContinueOnError)
	url := flags.String("url", "", "URL `prefix` of the log")
	dir := flags.String("dir", "", "`folder` that holds a downloaded log")
	var vkeys, witnesses list
	flags.Var(&vkeys, "vkey", "verifier `key` of the log: name+keyid+base64; again for another key of the same log")
	flags.Var(&witnesses, "witness", "verifier `key` of a witness that may cosign the checkpoint; may be repeated")
	threshold := flags.Int("quorum", -1, "so `many` of the witnesses must have cosigned it; by default all")
	proofFile := flags.String("proof", "", "`file` with an offline proof, instead of a log")
	entryFile := flags.String("entry", "", "`file` with the entry that the proof is about")
	vkeyFile := flags.String("vkey-file", "", "`file` that holds the verifier key")
	tokenFile := flags.String("token-file", "", "`file` that holds a bearer token (with -url)")
	oldFile := flags.String("old-checkpoint", "", "`file` with an older checkpoint that the log must extend")
	vectors := flags.String("vectors", "", "`folder` with test vectors: checks each, and says which verdict is not the one expected")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		os.Exit(exitUsage)
	}
	if *vectors != "" {
		runVectors(*vectors)
		return
	}
	places := 0
	for _, place := range []string{*url, *dir, *proofFile} {
		if place != "" {
			places++
		}
	}
	if flags.NArg() > 0 || places != 1 || (len(vkeys) == 0) == (*vkeyFile == "") || (*tokenFile != "" && *url == "") || (*proofFile == "") != (*entryFile == "") {
		fmt.Fprintln(os.Stderr, "verify-log: give one of -url, -dir and -proof, one of -vkey and -vkey-file, -token-file only with -url, -entry with -proof")
		flags.Usage()
		os.Exit(exitUsage)
	}

	if *vkeyFile != "" {
		text, err := valueOrFile("", *vkeyFile)
		if err != nil {
			usage(err)
		}
		vkeys = strings.Fields(text)
	}
	keys, err := parseLogKeys(vkeys)
	if err != nil {
		usage(err)
	}
	cosigners, err := parseQuorum(witnesses, *threshold)
	if err != nil {
		usage(err)
	}
	if *proofFile != "" {
		checkProof(*proofFile, *entryFile, keys, cosigners)
		return
	}
	token := ""
	if *tokenFile != "" {
		if token, err = valueOrFile("", *tokenFile); err != nil {
			usage(err)
		}
	}
	var old []byte
	if *oldFile != "" {
		if old, err = os.ReadFile(*oldFile); err != nil {
			usage(err)
		}
	}

	var log source = folder{*dir}
	if *url != "" {
		log = newWebsite(*url, token)
	}
	head, err := verifyLog(log, keys, cosigners, old)
	if err != nil {
		var badKey *keyError
		if errors.As(err, &badKey) {
			usage(err)
		}
		fmt.Printf("not verified: %v\n", err)
		os.Exit(exitNotVerified)
	}
	fmt.Printf("verified: origin=%s size=%d root=%s\n", head.origin, head.N, head.Hash)
}

func runVectors(folder string) {
	count, wrong, err := checkVectors(folder)
	if err != nil {
		usage(err)
	}
	for _, line := range wrong {
		fmt.Println(line)
	}
	if len(wrong) > 0 {
		os.Exit(exitNotVerified)
	}
	fmt.Printf("%d vectors have the verdicts expected\n", count)
}

func checkProof(proofFile, entryFile string, keys logKeys, witnesses quorum) {
	proof, err := os.ReadFile(proofFile)
	if err != nil {
		usage(err)
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		usage(err)
	}
	index, head, err := verifyProof(proof, entry, keys, witnesses)
	if err != nil {
		fmt.Printf("not verified: %v\n", err)
		os.Exit(exitNotVerified)
	}
	fmt.Printf("verified: index=%d origin=%s size=%d root=%s\n", index, head.origin, head.N, head.Hash)
}

func parseQuorum(vkeys []string, threshold int) (quorum, error) {
	var found quorum
	for _, vkey := range vkeys {
		one, err := parseWitness(vkey)
		if err != nil {
			return quorum{}, &keyError{err}
		}
		for _, other := range found.witnesses {
			// A cosignature does not commit to the name: under two names, one key would count twice.
			if one.key.Equal(other.key) {
				return quorum{}, &keyError{errors.New("a witness key stands there twice")}
			}
		}
		found.witnesses = append(found.witnesses, one)
	}
	found.threshold = threshold
	if threshold < 0 {
		found.threshold = len(vkeys)
	}
	if found.threshold > len(vkeys) {
		return quorum{}, errors.New("-quorum is larger than the number of witnesses")
	}
	return found, nil
}

// A list is a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func usage(err error) {
	fmt.Fprintf(os.Stderr, "verify-log: %v\n", err)
	os.Exit(exitUsage)
}

func valueOrFile(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}
