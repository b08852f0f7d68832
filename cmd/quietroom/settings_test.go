package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestASecretsFileIsItsOwnersOnlyWhateverLayThereBefore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := t.TempDir()
	others := filepath.Join(dir, "ledger.key.new")
	if err := os.WriteFile(others, []byte("planted"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(others, 0o666); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(others) // by whoever planted it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := writeFile(dir, "ledger.key", []byte("the key")); err != nil {
		t.Fatal(err)
	}
	written, err := os.Stat(filepath.Join(dir, "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := written.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file has mode %o", mode)
	}
	before, err := held.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(before, written) {
		t.Error("whoever planted the file reads what is written into it")
	}
}
