package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/seal"
)

// Key is the device's own: it signs what the computer says, and nothing else.
type Key interface {
	Sign(label string, message []byte) ([]byte, error)
	Public() []byte // uncompressed P-256 point
	Hardware() bool // it cannot be copied off the computer
}

// KeyStore makes and opens the device's key.
type KeyStore interface {
	Make(dir string) (Key, error)
	Open(dir string) (Key, error)
}

// KeyFile keeps the key in a file that only the agent's user reads. It is the
// weaker kind: whoever copies the folder has it, and is noticed by the count only.
type KeyFile struct{}

const keyFile = "device.key"

// Make makes a key, in place of an older one.
func (KeyFile) Make(dir string) (Key, error) {
	secret := seal.NewKey()
	defer secret.Wipe()
	if err := writeFile(dir, keyFile, []byte(hex.EncodeToString(secret[:])+"\n")); err != nil {
		return nil, err
	}
	return softKey(secret)
}

// Open reads it.
func (KeyFile) Open(dir string) (Key, error) {
	text, err := os.ReadFile(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("read the device's key: %w", err)
	}
	defer clear(text)
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, ErrNoKey // whose words are not told: they may hold the key
	}
	defer clear(b)
	secret, err := seal.KeyFrom(b)
	if err != nil {
		return nil, ErrNoKey
	}
	defer secret.Wipe()
	return softKey(secret)
}

// ErrNoKey means that the device's key is not there, or cannot be used.
var ErrNoKey = errors.New("the computer's own key cannot be used; enroll it anew: quietroom agent enroll LINK")

func softKey(secret seal.Key) (Key, error) {
	s, err := seal.SignerFrom(secret)
	if err != nil {
		return nil, err
	}
	return software{s}, nil
}

type software struct{ *seal.Signer }

func (s software) Public() []byte { return s.Signer.Public() }
func (software) Hardware() bool   { return false }
