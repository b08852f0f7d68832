package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/store/blobs"
	"quietroom/ground/store/blobs/blobstest"
	"quietroom/ground/store/blobs/disk"
)

// TestMain turns this binary into a writer to be killed, where asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("QUIETROOM_VICTIM"); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, dir string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	blobstest.TestStore(t, open(t, dir))
	if halves, _ := filepath.Glob(filepath.Join(dir, "half", "*")); len(halves) != 0 {
		t.Errorf("%d half blobs were left behind", len(halves))
	}
}

func TestFilesAreTheServersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Put(t.Context(), "A/B", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
}

// size is so that a kill often falls into a blob.
const size = 300_000

func content(i int64) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(data)
	return data
}

func blobName(i int64) string {
	const letters = "ABCDEFGHIJKLMNOP"
	name := ""
	for range 4 {
		name += string(letters[i%16])
		i /= 16
	}
	return name[:2] + "/" + name
}

func victim(dir string) {
	d, err := disk.Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := int64(0); ; i++ {
		if err := d.Put(context.Background(), blobName(i), bytes.NewReader(content(i))); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func TestAKilledWriterLeavesOnlyWholeBlobs(t *testing.T) {
	left, total := 0, 0
	for round := range 10 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "QUIETROOM_VICTIM="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, acknowledged := bufio.NewScanner(out), int64(0)
		for lines.Scan() {
			if acknowledged++; acknowledged == 1 {
				time.AfterFunc(time.Duration(1+round*3)*time.Millisecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		halves, _ := filepath.Glob(filepath.Join(dir, "half", "*"))
		left, total = left+len(halves), total+int(acknowledged)

		d := open(t, dir)
		if halves, _ := filepath.Glob(filepath.Join(dir, "half", "*")); len(halves) != 0 {
			t.Errorf("opening left %d half blobs", len(halves))
		}
		n := int64(0)
		for info, err := range d.List(t.Context(), "") {
			if err != nil || info.Size != size {
				t.Fatalf("%+v: %v", info, err)
			}
			n++
		}
		if n < acknowledged {
			t.Fatalf("%d blobs of %d acknowledged", n, acknowledged)
		}
		for i := range n {
			r, err := d.Get(t.Context(), blobName(i))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(r)
			r.Close()
			if !bytes.Equal(got, content(i)) {
				t.Fatalf("blob %d is not whole", i)
			}
		}
	}
	t.Logf("%d blobs acknowledged, %d half ones swept", total, left)
	if left == 0 {
		t.Log("no kill fell into a blob this time")
	}
}

var _ blobs.Store = (*disk.Disk)(nil)
