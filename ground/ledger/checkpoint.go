package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Hash is the SHA-256 hash of a fact or of a part of the tree, as RFC 6962 makes it.
type Hash = tlog.Hash

// Checkpoint is a signed head of the tree: who holds it can later tell whether
// the first Size facts are still the same. Keep the Note: ParseCheckpoint reads
// it back and checks the signature again.
type Checkpoint struct {
	Size int64  `json:"size"` // how many facts
	Root Hash   `json:"root"` // root of the tree over them
	Note string `json:"note"` // the signed text (C2SP tlog-checkpoint): origin, size, root, signature
}

var errCheckpoint = errors.New("ledger: not a head that the house's key signed")

// ParseCheckpoint reads a signed head and checks its signature and origin.
func ParseCheckpoint(text []byte, key Key) (Checkpoint, error) {
	if key.verifier == nil {
		return Checkpoint{}, errors.New("ledger: no key to check a head with")
	}
	n, err := note.Open(text, note.VerifierList(key.verifier))
	if err != nil {
		return Checkpoint{}, errCheckpoint
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != key.name || lines[3] != "" {
		return Checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, errCheckpoint
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return Checkpoint{}, errCheckpoint
	}
	return Checkpoint{Size: size, Root: root, Note: string(text)}, nil
}

func newCheckpoint(key Key, size int64, root Hash) (Checkpoint, error) {
	if key.signer == nil {
		return Checkpoint{}, ErrKeyless
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", key.name, size, root)
	signed, err := note.Sign(&note.Note{Text: text}, key.signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("sign the head of the tree: %w", err)
	}
	return Checkpoint{Size: size, Root: root, Note: string(signed)}, nil
}

// Words returns the root as six words, to be compared by people.
func (c Checkpoint) Words() [6]string { return Words(c.Root) }
