package binder_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/compliance/binder"
)

var day = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// part is where an entry's bytes lie in the bundle.
type part struct {
	name          string
	header, begin int
	end           int
}

// made makes a bundle of a real ledger, small enough to change each of its bytes.
func made(t testing.TB) (bundle []byte, entries []binder.Entry) {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	signer, _, err := ledger.NewKey("quietroom/test")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, db, key, func() time.Time { return day })
	if err != nil {
		t.Fatal(err)
	}
	add := func(f ledger.Fact) ledger.Checkpoint {
		f.At = day
		if err := db.Update(ctx, func(tx *store.Tx) error { return ledger.Append(ctx, tx, f) }); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Sequence(ctx); err != nil {
			t.Fatal(err)
		}
		head, err := l.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	letter := add(ledger.Fact{Kind: "home.drill-held"})
	then := add(ledger.Fact{Kind: "vault.searched"})
	var facts binder.Facts
	facts.Head, facts.Letters = then.Note, []binder.Letter{{On: "2026-11-27", Head: letter.Note}}
	for n := range then.Size {
		p, err := l.ProveIn(ctx, n+1, then.Size)
		if err != nil {
			t.Fatal(err)
		}
		facts.Facts = append(facts.Facts, p)
	}
	text, err := binder.Encode(facts)
	if err != nil {
		t.Fatal(err)
	}
	entries = []binder.Entry{{Name: "binder.html", Data: []byte("<p>Safe</p>\n")}, {Name: "binder.css", Data: []byte("p{}")}, {Name: binder.FactsName, Data: text}, {Name: "empty.txt"}}
	_, list, err := binder.List(binder.Contents{Practice: "Harbor Counseling", Made: day, From: day.AddDate(-1, 0, 0), To: day}, entries)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(list)
	head := add(ledger.Fact{Kind: binder.Fact, Hash: hash[:]})
	seal := binder.Seal{Key: key.Verifier(), Head: head.Note}
	if seal.Fact, err = l.ProveIn(ctx, head.Size, head.Size); err != nil {
		t.Fatal(err)
	}
	for _, past := range []ledger.Checkpoint{then, letter} {
		c, err := l.Consistency(ctx, past.Size, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		seal.Past = append(seal.Past, c)
	}
	var b bytes.Buffer
	if err := binder.Write(&b, list, entries, seal); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), entries
}

func verify(t testing.TB, b []byte) binder.Report {
	t.Helper()
	r, err := binder.Verify(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("it was refused whole: %v", err)
	}
	return r
}

// parts finds the entries with an ordinary reader of ZIP files.
func parts(t testing.TB, b []byte) (all []part) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("an ordinary reader cannot open the bundle: %v", err)
	}
	for _, f := range z.File {
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part{f.Name, int(at) - 30 - len(f.Name), int(at), int(at) + int(f.UncompressedSize64)})
	}
	return all
}

func TestABundleHoldsAndSaysWhatToCompare(t *testing.T) {
	b, _ := made(t)
	r := verify(t, b)
	if !r.Held || r.Facts != 2 || r.Entries != 4 || r.Practice != "Harbor Counseling" || len(strings.Split(r.Head, " · ")) != 6 {
		t.Fatalf("a fresh bundle reads %+v", r)
	}
	if len(r.Letters) != 1 || r.Letters[0].On != "2026-11-27" || r.Letters[0].Head == r.Head {
		t.Errorf("the letter's words are %+v", r.Letters)
	}
}

// The promise: one byte of anything changed is noticed and named. All bytes, one
// bit each.
func TestEachChangedByteIsNamed(t *testing.T) {
	b, _ := made(t)
	all := parts(t, b)
	for i := range b {
		for _, flip := range []byte{1 << (i % 8)} {
			changed := slices.Clone(b)
			changed[i] ^= flip
			r, err := binder.Verify(bytes.NewReader(changed), int64(len(changed)))
			if err != nil {
				t.Fatalf("byte %d: refused whole (%v), so nothing is named", i, err)
			}
			if r.Held {
				t.Fatalf("byte %d of %d was changed, and nobody noticed: %q", i, len(b), b[max(0, i-40):min(len(b), i+40)])
			}
			for _, p := range all {
				if i < p.begin || i >= p.end {
					continue
				}
				if len(r.Findings) != 1 || r.Findings[0].Entry != p.name {
					t.Fatalf("byte %d lies in %s, and the finding is %+v", i, p.name, r.Findings)
				}
			}
		}
	}
}

func TestWhoPacksItAnewIsNamed(t *testing.T) {
	b, _ := made(t)
	all := parts(t, b)
	cut := func(at, n int, put string) []byte {
		return slices.Concat(b[:at], []byte(put), b[at+n:])
	}
	// repack writes the same entries as an ordinary program does.
	repack := func(edit func([]string) []string, each func(w *zip.Writer, name string, data []byte)) []byte {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		var names []string
		data := map[string][]byte{}
		for _, p := range all {
			names = append(names, p.name)
			data[p.name] = b[p.begin:p.end]
		}
		for _, n := range edit(names) {
			each(w, n, data[n])
		}
		w.Close()
		return out.Bytes()
	}
	stored := func(w *zip.Writer, name string, data []byte) {
		f, err := w.CreateRaw(&zip.FileHeader{Name: name, UncompressedSize64: uint64(len(data)), CompressedSize64: uint64(len(data))})
		if err != nil {
			t.Fatal(err)
		}
		f.Write(data)
	}
	same := func(n []string) []string { return n }
	for _, c := range []struct {
		title, entry, text string
		b                  []byte
	}{
		{"trailing byte", "", "1 bytes were added after the end", append(slices.Clone(b), 'x')},
		{"a comment", "", "a comment of 3 bytes", func() []byte {
			n := append(slices.Clone(b), "abc"...)
			n[len(b)-2] = 3
			return n
		}()},
		{"cut short", "", "ends too early", b[:len(b)-1]},
		{"cut in the middle", "seal.json", "missing", b[:all[3].begin]},
		{"a byte put in", "binder.html", "put in before it", nil},
		{"removed", "binder.css", "missing", repack(func(n []string) []string { return slices.Delete(n, 2, 3) }, stored)},
		{"added", "extra.txt", "was added", repack(func(n []string) []string { return append(n, "extra.txt") }, stored)},
		{"added with a path trick", `"../../etc/passwd"`, "was added", repack(func(n []string) []string { return append(n, "../../etc/passwd") }, stored)},
		{"reordered", "binder.css", "order was changed", repack(func(n []string) []string { n[1], n[2] = n[2], n[1]; return n }, stored)},
		{"duplicated", "binder.html", "there 2 times", repack(func(n []string) []string { return append(n, n[1]) }, stored)},
		{"compressed", "binder.html", "compression", repack(same, func(w *zip.Writer, name string, data []byte) {
			if name != "binder.html" {
				stored(w, name, data)
				return
			}
			f, _ := w.Create(name)
			f.Write(data)
		})},
		{"an extra field", "binder.css", "extra field", repack(same, func(w *zip.Writer, name string, data []byte) {
			h := &zip.FileHeader{Name: name, UncompressedSize64: uint64(len(data)), CompressedSize64: uint64(len(data))}
			if name == "binder.css" {
				h.Extra = []byte{0x99, 0x99, 1, 0, 7}
			}
			f, _ := w.CreateRaw(h)
			f.Write(data)
		})},
		{"a comment of an entry", "binder.css", "comment", repack(same, func(w *zip.Writer, name string, data []byte) {
			h := &zip.FileHeader{Name: name, UncompressedSize64: uint64(len(data)), CompressedSize64: uint64(len(data))}
			if name == "binder.css" {
				h.Comment = "look here"
			}
			f, _ := w.CreateRaw(h)
			f.Write(data)
		})},
		{"renamed", "binder.html", "renamed to other.html", repack(same, func(w *zip.Writer, name string, data []byte) {
			if name == "binder.html" {
				name = "other.html"
			}
			stored(w, name, data)
		})},
		{"a byte of content removed", "binder.css", "content was changed", repack(same, func(w *zip.Writer, name string, data []byte) {
			if name == "binder.css" {
				data = data[1:]
			}
			stored(w, name, data)
		})},
	} {
		t.Run(c.title, func(t *testing.T) {
			if c.b == nil {
				c.b = cut(all[1].header, 0, "\x00")
			}
			r := verify(t, c.b)
			named := slices.ContainsFunc(r.Findings, func(f binder.Finding) bool {
				return f.Entry == c.entry && strings.Contains(f.Text, c.text)
			})
			if r.Held || !named {
				t.Errorf("held %v, and the findings are %+v; want one of %q with %q", r.Held, r.Findings, c.entry, c.text)
			}
		})
	}
}

func TestABundleSealedWithAnotherKeyHoldsButHasOtherWords(t *testing.T) {
	b, _ := made(t)
	other, _ := made(t)
	if one, two := verify(t, b), verify(t, other); !two.Held || one.Head == two.Head {
		t.Errorf("two houses have the same six words: %s", one.Head)
	}
}

func TestWhatIsNoBundleIsRefusedCalmly(t *testing.T) {
	var bomb bytes.Buffer
	w := zip.NewWriter(&bomb)
	f, _ := w.Create("contents.json")
	io.CopyN(f, zeros{}, 64<<20)
	w.Close()
	for title, b := range map[string][]byte{"nothing": {}, "text": []byte("Dear Ada,"), "an end alone": []byte("PK\x05\x06" + strings.Repeat("\x00", 18)), "a bomb": bomb.Bytes()} {
		if _, err := binder.Verify(bytes.NewReader(b), int64(len(b))); !errors.Is(err, binder.ErrNoBundle) {
			t.Errorf("%s: %v, want ErrNoBundle", title, err)
		}
	}
	if _, err := binder.Verify(bytes.NewReader(nil), 5<<30); !errors.Is(err, binder.ErrNoBundle) {
		t.Errorf("a file of 5 GiB: %v, want ErrNoBundle", err)
	}
	if _, _, err := binder.List(binder.Contents{}, []binder.Entry{{Name: "../x"}}); err == nil {
		t.Error("an entry may climb out of its folder")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What strangers send is refused or named; what holds is a whole ZIP file of
// stored entries. Each process of the fuzzer makes a bundle of its own.
func FuzzVerify(f *testing.F) {
	b, _ := made(f)
	f.Add(b)
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, other []byte) {
		r, err := binder.Verify(bytes.NewReader(other), int64(len(other)))
		if err != nil || !r.Held {
			return
		}
		z, err := zip.NewReader(bytes.NewReader(other), int64(len(other)))
		if err != nil || len(z.File) != r.Entries+2 || z.Comment != "" {
			t.Fatalf("it holds, and is not of our form: %v", err)
		}
	})
}
