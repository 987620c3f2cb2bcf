// Letterlock-verify checks evidence files of a Letterlock record, and a log's public folder, with
// no part of Letterlock: see ../README.md.
//
//	letterlock-verify -policy FILE [-log FOLDER] [-now SECONDS] [-json] BUNDLE…
//	letterlock-verify vrf KEY ALPHA PROOF …      (hex; prints β)
//
// Exit codes: 0 every file holds, 1 a file cannot be read, 2 usage, 3 a file does not hold.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	exitYes = iota
	exitError
	exitUsage
	exitNo
)

// An untrueError says that a file can be read, and does not hold.
type untrueError struct{ said string }

func (e *untrueError) Error() string { return e.said }

func untrue(format string, values ...interface{}) error {
	return &untrueError{fmt.Sprintf(format, values...)}
}

// malformed says that a file cannot be read, so that nothing was judged.
func malformed(format string, values ...interface{}) error {
	return fmt.Errorf(format, values...)
}

func unhex(text string) ([]byte, error) {
	data, err := hex.DecodeString(text)
	if err != nil || hex.EncodeToString(data) != text {
		return nil, malformed("not lower-case hex")
	}
	return data, nil
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// readBounded reads a file of up to maxFile bytes.
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = malformed("larger than 16 MiB")
	}
	return data, err
}

// A line is what is printed of one file.
type line struct {
	File   string   `json:"file"`
	Answer string   `json:"answer"` // yes, no, error
	Kind   string   `json:"kind,omitempty"`
	Says   string   `json:"says"`
	By     string   `json:"by,omitempty"`
	Not    []string `json:"not_shown,omitempty"`
}

func lineOf(name string, found answer, err error) line {
	l := line{File: name, Answer: "yes", Kind: found.kind, Says: found.says}
	var no *untrueError
	switch {
	case errors.As(err, &no):
		l.Answer, l.Says = "no", err.Error()
	case err != nil:
		l.Answer, l.Says = "error", err.Error()
	default:
		l.Not = notShown[found.kind]
		if found.at == nil || len(found.at.witnesses) == 0 {
			l.Not = append(l.Not[:len(l.Not):len(l.Not)], notWitness)
		}
		if found.at != nil {
			l.By = fmt.Sprintf("%s at size %d: %s", found.at.origin, found.at.size, found.at.by())
		}
	}
	return l
}

func (l line) print(asJSON bool) {
	if asJSON {
		text, err := json.Marshal(l)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
		return
	}
	by := ""
	if l.By != "" {
		by = " [" + l.By + "]"
	}
	if len(l.Not) > 0 {
		by += " Not shown: " + strings.Join(l.Not, "; ") + "."
	}
	// Names and words of a file are not ours: no control character reaches the terminal.
	fmt.Printf("%-5s %s: %s%s\n", l.Answer, printable(l.File), printable(l.Says), printable(by))
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, text)
}

func usage() int {
	fmt.Fprintln(os.Stderr, "usage: letterlock-verify -policy FILE [-log FOLDER] [-now SECONDS] [-json] BUNDLE...")
	fmt.Fprintln(os.Stderr, "       letterlock-verify vrf KEY ALPHA PROOF...")
	return exitUsage
}

func vrfCommand(words []string) int {
	code := exitYes
	for ; len(words) > 0; words = words[3:] {
		var data [3][]byte
		for i := range data {
			var err error
			if data[i], err = unhex(words[i]); err != nil {
				return usage()
			}
		}
		beta, err := verifyVRF(data[0], data[1], data[2])
		if err != nil {
			fmt.Println("no   ", err)
			code = exitNo
			continue
		}
		fmt.Println(hex.EncodeToString(beta))
	}
	return code
}

func run() int {
	if len(os.Args) > 2 && len(os.Args)%3 == 2 && os.Args[1] == "vrf" {
		return vrfCommand(os.Args[2:])
	}
	flags := flag.NewFlagSet("letterlock-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	policyName := flags.String("policy", "", "")
	logName := flags.String("log", "", "")
	now := flags.Int64("now", time.Now().Unix(), "")
	asJSON := flags.Bool("json", false, "")
	if flags.Parse(os.Args[1:]) != nil || *policyName == "" || *now < 0 || flags.NArg() == 0 && *logName == "" {
		return usage()
	}
	data, err := readBounded(*policyName)
	if err != nil {
		fmt.Fprintln(os.Stderr, printable(err.Error()))
		return exitError
	}
	p, err := parsePolicy(data)
	if err != nil {
		fmt.Fprintln(os.Stderr, printable(err.Error()))
		return exitError
	}
	p.until = uint64(*now) + ahead
	answers := map[string]bool{}
	say := func(l line) {
		l.print(*asJSON)
		answers[l.Answer] = true
	}
	var log *folder
	if *logName != "" {
		log, err = openFolder(*logName, p)
		found := answer{kind: "log"}
		if err == nil {
			found.says = fmt.Sprintf("every tile and the root follow from its %d entries", log.head.size)
			found.at = log.head
		} else {
			log = nil
		}
		say(lineOf(*logName, found, err))
	}
	for _, name := range flags.Args() {
		data, err := readBounded(name)
		found := answer{}
		if err == nil {
			found, err = judge{p}.bundle(data)
		}
		if err == nil && log != nil {
			err = log.holds(found)
		}
		say(lineOf(name, found, err))
	}
	switch {
	case answers["no"]:
		return exitNo
	case answers["error"]:
		return exitError
	}
	return exitYes
}

func main() { os.Exit(run()) }
