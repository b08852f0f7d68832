package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"

	"quietroom/ground/seal"
)

// newFlags are options that say nothing by themselves: call.parse puts what is
// wrong into one sentence.
func newFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

func newOnce(b []byte) io.Reader { return bytes.NewReader(b) }

// readLine reads one line, and not a byte of the next.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < 1024 {
		n, err := r.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return line, nil
			}
			line = append(line, one[0])
		}
		if err == io.EOF && len(line) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, fmt.Errorf("no code came on standard input: %w", err)
		}
	}
	return nil, fmt.Errorf("the line on standard input is too long for a code")
}

func parsePersonal(text string) (seal.Code, error) { return seal.ParseCode(seal.Personal, text) }
