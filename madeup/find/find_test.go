package find_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"quietroom/madeup"
	"quietroom/madeup/find"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// spellings are written with other packages, or in another way, than find does.
var spellings = map[find.Encoding]func(before, secret, after string) []byte{
	find.Raw:     func(x, s, y string) []byte { return []byte(x + s + y) },
	find.UTF16LE: func(x, s, y string) []byte { return utf16Bytes(s, 0) },
	find.UTF16BE: func(x, s, y string) []byte { return utf16Bytes(s, 8) },
	find.Base64:  func(x, s, y string) []byte { return []byte(base64.StdEncoding.EncodeToString([]byte(x + s + y))) },
	find.Base64URL: func(x, s, y string) []byte {
		return []byte(base64.URLEncoding.EncodeToString([]byte(x + s + y)))
	},
	find.Hex:      func(x, s, y string) []byte { return []byte(hex.EncodeToString([]byte(x + s + y))) },
	find.HexUpper: func(x, s, y string) []byte { return fmt.Appendf(nil, "%X", x+s+y) },
	find.JSON: func(x, s, y string) []byte {
		b, _ := json.Marshal(s)
		return b
	},
	find.JSONASCII: func(x, s, y string) []byte {
		b, _ := json.Marshal(s)
		var out []byte
		for _, u := range utf16.Encode([]rune(string(b))) {
			if u < 0x80 {
				out = append(out, byte(u))
			} else {
				out = fmt.Appendf(out, "\\u%04x", u)
			}
		}
		return out
	},
	find.Percent: func(x, s, y string) []byte { return []byte(strings.ReplaceAll(url.QueryEscape(s), "+", "%20")) },
	find.Form:    func(x, s, y string) []byte { return []byte(url.Values{"q": {s}}.Encode()) },
	find.HTML:    func(x, s, y string) []byte { return []byte("<p>" + html.EscapeString(s) + "</p>") },
}

func utf16Bytes(s string, first int) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>first), byte(u>>(8-first)))
	}
	return b
}

func TestASecretIsFoundInEverySpellingAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9 '"&<>/\\éñłễ😀\n.,@()-]{8,120}`).Draw(t, "secret")
		enc := rapid.SampledFrom(slices.Sorted(maps.Keys(spellings))).Draw(t, "spelling")
		before := rapid.StringN(0, 7, 7).Draw(t, "before")
		after := rapid.StringN(0, 7, 7).Draw(t, "after")
		at := rapid.IntRange(0, 600<<10).Draw(t, "at")
		if rapid.Bool().Draw(t, "at an edge") {
			at = max(0, 256<<10*rapid.IntRange(1, 2).Draw(t, "edge")-rapid.IntRange(0, 300).Draw(t, "back"))
		}
		f := find.New(slices.Values([]string{"another secret", secret}))

		planted := spellings[enc](before, secret, after)
		stream := noise(uint64(at), at+len(planted)+rapid.IntRange(0, 300).Draw(t, "rest"))
		copy(stream[at:], planted)
		hits := scan(t, f, bytes.NewReader(stream))
		ok := slices.ContainsFunc(hits, func(h find.Hit) bool {
			return h.Secret == 1 && h.Packed == "" && int(h.Offset) >= at && int(h.Offset) < at+len(planted)
		})
		if !ok {
			t.Fatalf("%q as %s at %d: found %v", secret, enc, at, hits)
		}
		if enc == find.Raw && (len(hits) != 1 || hits[0] != find.Hit{Secret: 1, Offset: int64(at + len(before))}) {
			t.Fatalf("%q at %d was found as %v", secret, at+len(before), hits)
		}
	})
}

func TestASecretIsFoundInCompressedStreamsAnywhere(t *testing.T) {
	const secret = "Samantha Ashworth-Lee"
	f := find.New(slices.Values([]string{secret}))
	for name, pack := range packers {
		t.Run(name, func(t *testing.T) {
			for _, at := range []int{0, 1, 1000, 256<<10 - 1, 256<<10 - 2, 256<<10 - 3, 256<<10 - 100, 700 << 10} {
				for _, deep := range []int{0, 5000, 900 << 10} { // the stream itself crosses windows
					plain := slices.Concat(noise(7, deep), []byte(secret), noise(8, 300))
					stream := slices.Concat(noise(9, at), pack(plain), noise(10, 5000))
					want := find.Hit{Offset: int64(at), Packed: name}
					if hits := scan(t, f, iotest.HalfReader(bytes.NewReader(stream))); !slices.Contains(hits, want) {
						t.Errorf("at %d, %d deep: %v", at, deep, hits)
					}
				}
			}
		})
	}
	t.Run("gzip in zstd", func(t *testing.T) {
		stream := packers["zstd"](packers["gzip"]([]byte(secret)))
		if hits := scan(t, f, bytes.NewReader(stream)); !slices.Contains(hits, find.Hit{Packed: "zstd/gzip"}) {
			t.Errorf("%v", hits)
		}
	})
	t.Run("what came before a torn end", func(t *testing.T) {
		stream := packers["gzip"](slices.Concat([]byte(secret), bytes.Repeat(noise(1, 1000), 100), noise(2, 100_000)))
		if hits := scan(t, f, bytes.NewReader(stream[:60_000])); !slices.Contains(hits, find.Hit{Packed: "gzip"}) {
			t.Errorf("%v", hits)
		}
	})
}

var packers = map[string]func([]byte) []byte{
	"gzip": func(b []byte) []byte {
		var out bytes.Buffer
		return written(&out, gzip.NewWriter(&out), b)
	},
	"zlib": func(b []byte) []byte {
		var out bytes.Buffer
		return written(&out, zlib.NewWriter(&out), b)
	},
	"zstd": func(b []byte) []byte {
		var out bytes.Buffer
		z, err := zstd.NewWriter(&out)
		if err != nil {
			panic(err)
		}
		return written(&out, z, b)
	},
	"zip": func(b []byte) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 9) })
		w, err := z.Create("a name of some length.txt")
		if err != nil {
			panic(err)
		}
		if _, err := w.Write(b); err != nil {
			panic(err)
		}
		if err := z.Close(); err != nil {
			panic(err)
		}
		return out.Bytes()
	},
}

func written(out *bytes.Buffer, w io.WriteCloser, b []byte) []byte {
	if _, err := w.Write(b); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func TestNothingIsFoundInNoise(t *testing.T) {
	f := find.New(practice(2000))
	if hits := scan(t, f, bytes.NewReader(noise(1, 16<<20))); len(hits) > 0 {
		t.Errorf("found in noise: %v", hits)
	}
}

func TestEverySecretOfAPracticeIsFoundInPlainText(t *testing.T) {
	var house bytes.Buffer
	want := map[string]bool{}
	for s := range practice(300) {
		house.WriteString(s + "\n")
		want[s] = true
	}
	all := slices.Collect(practice(300))
	got := map[string]bool{}
	for _, h := range scan(t, find.New(practice(300)), &house) {
		got[all[h.Secret]] = true
	}
	if len(got) != len(want) {
		t.Errorf("found %d of %d secrets", len(got), len(want))
	}
}

func TestShortOnesAreLeftOutAndNumbersStay(t *testing.T) {
	f := find.New(slices.Values([]string{"Kim", "long enough", "long enough", "also long enough"}))
	if f.Len() != 2 {
		t.Errorf("%d secrets are looked for, want 2", f.Len())
	}
	hits := scan(t, f, strings.NewReader("Kim is also long enough"))
	var numbers []int
	for _, h := range hits {
		numbers = append(numbers, h.Secret)
	}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []int{1, 3}) {
		t.Errorf("%v", hits)
	}
}

func TestWithoutSecretsNothingIsFound(t *testing.T) {
	f := find.New(slices.Values([]string(nil)))
	for _, n := range []int{0, 1, 7, 8, 9, 700_000} {
		if hits := scan(t, f, bytes.NewReader(noise(2, n))); len(hits) > 0 {
			t.Errorf("%v in %d bytes", hits, n)
		}
	}
}

func TestABombIsNotUnfoldedAndSaidSo(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 300 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f := find.New(slices.Values([]string{"long enough"}))
	var failures []error
	for _, err := range f.Scan(&bomb) {
		if err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) != 1 || !strings.Contains(failures[0].Error(), "was not looked at") {
		t.Errorf("%v", failures)
	}
}

func TestABrokenReaderIsAnError(t *testing.T) {
	broken := errors.New("the disk is broken")
	f := find.New(slices.Values([]string{"long enough"}))
	found := false
	for h, err := range f.Scan(io.MultiReader(strings.NewReader("long enough"), iotest.ErrReader(broken))) {
		if err == nil {
			found = h.Offset == 0
		} else if !errors.Is(err, broken) {
			t.Error(err)
		}
	}
	if !found {
		t.Error("what came before the error was not looked at")
	}
}

func TestTheCallerMayStopInsideAStream(t *testing.T) {
	f := find.New(slices.Values([]string{"long enough"}))
	text := []byte(strings.Repeat("long enough ", 1000))
	stream := packers["zstd"](packers["gzip"](text))
	for range f.Scan(bytes.NewReader(slices.Concat(text, stream))) {
		break
	}
	n := 0
	for range f.Scan(bytes.NewReader(stream)) {
		if n++; n == 5 {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d hits", n)
	}
}

func BenchmarkScan(b *testing.B) {
	random := noise(3, 32<<20)
	text := []byte(base64.StdEncoding.EncodeToString(random[:24<<20]))
	for _, patients := range []int{2_000, 33_000} {
		f := find.New(practice(patients))
		for name, stream := range map[string][]byte{"random": random, "base64": text} {
			b.Run(fmt.Sprintf("%v, %s", f, name), func(b *testing.B) {
				b.SetBytes(int64(len(stream)))
				for b.Loop() {
					for h, err := range f.Scan(bytes.NewReader(stream)) {
						b.Fatal(h, err)
					}
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	list := slices.Collect(practice(33_000))
	b.ReportAllocs()
	for b.Loop() {
		find.New(slices.Values(list))
	}
}

func practice(patients int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for a := range madeup.New(1, patients, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)).Patients() {
			for s := range madeup.Secrets(a) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func scan(t interface{ Fatal(...any) }, f *find.Finder, r io.Reader) []find.Hit {
	var hits []find.Hit
	for h, err := range f.Scan(r) {
		if err != nil {
			t.Fatal(err)
		}
		hits = append(hits, h)
	}
	return hits
}

func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1], key[2], key[3] = byte(seed), byte(seed>>8), byte(seed>>16), 1
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}
