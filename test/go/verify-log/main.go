// Command verify-log judges a log from outside: with golang.org/x/mod/sumdb alone, and a key that it is given, it opens
// the checkpoint, reads every leaf hash through the tiles and every entry through the bundles, and checks them all.
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
	vkey := flags.String("vkey", "", "verifier `key` of the log: name+keyid+base64")
	vkeyFile := flags.String("vkey-file", "", "`file` that holds the verifier key")
	tokenFile := flags.String("token-file", "", "`file` that holds a bearer token (with -url)")
	oldFile := flags.String("old-checkpoint", "", "`file` with an older checkpoint that the log must extend")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		os.Exit(exitUsage)
	}
	if flags.NArg() > 0 || (*url == "") == (*dir == "") || (*vkey == "") == (*vkeyFile == "") || (*tokenFile != "" && *url == "") {
		fmt.Fprintln(os.Stderr, "verify-log: give one of -url and -dir, one of -vkey and -vkey-file, and -token-file only with -url")
		flags.Usage()
		os.Exit(exitUsage)
	}

	key, err := valueOrFile(*vkey, *vkeyFile)
	if err != nil {
		usage(err)
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
	head, err := verifyLog(log, key, old)
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
