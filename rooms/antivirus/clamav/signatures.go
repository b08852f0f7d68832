package clamav

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// TestFile is the 68 bytes by which engines show that they look at all: the
// EICAR standard antivirus test file (eicar.org). It is put together when it is
// needed, so that no copy of this program or of its source is taken for it.
func TestFile() []byte {
	words := [][]byte{[]byte("EICAR"), []byte("STANDARD"), []byte("ANTIVIRUS"), []byte("TEST"), []byte("FILE")}
	return slices.Concat([]byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$`), bytes.Join(words, []byte("-")), []byte("!$H+H*"))
}

// ownName is the name of our one signature, as other engines call it too.
const ownName = "Eicar-Test-Signature"

// ownFile holds it. Without any signature the engine does not start.
const ownFile = "quietroom.ndb"

// writeOwn puts Quietroom's own signature file beside those that come from outside.
func writeOwn(dir string) error {
	text := fmt.Sprintf("%s:0:0:%s\n", ownName, hex.EncodeToString(TestFile())) // offset 0: eicar.org says where it counts
	path := filepath.Join(dir, ownFile)
	have, err := os.ReadFile(path)
	if err == nil && string(have) == text {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // the engine's own user reads it
}
