package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/seal"
	"quietroom/rooms/identity/glass"
)

// glassFile is the house's half of the key for breaking the glass. It opens
// nothing without a clinician's tap. It lies beside the database and not in it,
// and belongs into no backup that is kept for long: an owner makes it anew with
// one tap.
const glassFile = "glass.key"

var _ glass.House = (*settings)(nil)

// GlassHalf reads it. Several servers of one house share the same file.
func (s *settings) GlassHalf() (key seal.Key, err error) {
	path := filepath.Join(s.dir, glassFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, glass.ErrNoHalf
	}
	if err != nil {
		return key, err
	}
	defer clear(text)
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err == nil {
		key, err = seal.KeyFrom(b)
	}
	if err != nil { // whose words are not told: they may hold the key
		return key, fmt.Errorf("%w: %s cannot be read", glass.ErrNoHalf, path)
	}
	return key, nil
}

// MakeGlassHalf makes it where there is none that can be read.
func (s *settings) MakeGlassHalf() (seal.Key, error) {
	key, err := s.GlassHalf()
	if !errors.Is(err, glass.ErrNoHalf) {
		return key, err
	}
	key = seal.NewKey()
	return key, writeFile(s.dir, glassFile, []byte(base64.StdEncoding.EncodeToString(key[:])+"\n"))
}

// DropGlassHalf removes it.
func (s *settings) DropGlassHalf() error {
	err := os.Remove(filepath.Join(s.dir, glassFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
