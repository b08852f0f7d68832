package leak_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"quietroom/rooms/trackers/leak"
)

func sum(name, s string) []byte {
	switch name {
	case "md5":
		h := md5.Sum([]byte(s))
		return h[:]
	case "sha1":
		h := sha1.Sum([]byte(s))
		return h[:]
	case "sha256":
		h := sha256.Sum256([]byte(s))
		return h[:]
	}
	h := sha512.Sum512([]byte(s))
	return h[:]
}

func packed(t interface{ Fatal(...any) }, how, s string) string {
	var b bytes.Buffer
	var w interface {
		Write([]byte) (int, error)
		Close() error
	}
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, 6)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ways are what trackers do to a value before they send it, with what a Finder
// must call it.
func ways(t interface{ Fatal(...any) }) map[string]func(string) (sent, encoding string) {
	all := map[string]func(string) (string, string){
		"plain":       func(s string) (string, string) { return s, "plain" },
		"url-encoded": func(s string) (string, string) { return url.QueryEscape(s), "" },
		"twice url":   func(s string) (string, string) { return url.QueryEscape(url.QueryEscape(s)), "" },
		"upper":       func(s string) (string, string) { return strings.ToUpper(s), "" },
		"lower":       func(s string) (string, string) { return strings.ToLower(s), "" },
		"trimmed":     func(s string) (string, string) { return strings.ReplaceAll(s, " ", ""), "" },
		"hex":         func(s string) (string, string) { return hex.EncodeToString([]byte(s)), "hex" },
		"upper hex":   func(s string) (string, string) { return strings.ToUpper(hex.EncodeToString([]byte(s))), "hex" },
		"base64":      func(s string) (string, string) { return base64.StdEncoding.EncodeToString([]byte(s)), "base64" },
		"base64 after 1": func(s string) (string, string) {
			return base64.StdEncoding.EncodeToString([]byte("~" + s + "~")), "base64"
		},
		"base64 after 2": func(s string) (string, string) {
			return base64.StdEncoding.EncodeToString([]byte("\xff\xfe" + s + "\xff")), "base64"
		},
		"url-safe base64": func(s string) (string, string) {
			return base64.RawURLEncoding.EncodeToString([]byte("\xfb\xff" + s)), "base64"
		},
		"twice base64": func(s string) (string, string) {
			return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s)))), ""
		},
		"reversed":     func(s string) (string, string) { return backwards(s), "reversed" },
		"gzip":         func(s string) (string, string) { return packed(t, "gzip", `{"f":"`+s+`"}`), "gzip" },
		"zlib":         func(s string) (string, string) { return packed(t, "zlib", `{"f":"`+s+`"}`), "deflate" },
		"bare deflate": func(s string) (string, string) { return packed(t, "flate", `{"f":"`+s+`","g":"`+s+`"}`), "deflate" },
		"base64 of gzip": func(s string) (string, string) {
			return base64.StdEncoding.EncodeToString([]byte(packed(t, "gzip", s))), "base64, gzip"
		},
		"JSON escapes": func(s string) (string, string) { return escaped(s), "" },
		"JSON in JSON": func(s string) (string, string) {
			a, _ := json.Marshal(s)
			b, _ := json.Marshal(string(a))
			return string(b), "plain"
		},
		"character codes": func(s string) (string, string) { return codes(s), "character codes" },
		"hash in base64":  func(s string) (string, string) { return base64.StdEncoding.EncodeToString(sum("sha256", s)), "sha256" },
		"hash as bytes":   func(s string) (string, string) { return "em=" + string(sum("sha256", s)), "sha256" },
		"hash, gzipped": func(s string) (string, string) {
			return packed(t, "gzip", hex.EncodeToString(sum("sha1", s))), "gzip, sha1"
		},
		"hash of base64": func(s string) (string, string) {
			return hex.EncodeToString(sum("sha256", base64.StdEncoding.EncodeToString([]byte(s)))), "sha256, base64"
		},
		"hash of reversed": func(s string) (string, string) { return hex.EncodeToString(sum("md5", backwards(s))), "md5, reversed" },
	}
	for _, outer := range []string{"md5", "sha1", "sha256", "sha512"} {
		all[outer] = func(s string) (string, string) { return hex.EncodeToString(sum(outer, s)), outer }
		all[outer+" of lower"] = func(s string) (string, string) {
			return strings.ToUpper(hex.EncodeToString(sum(outer, strings.ToLower(s)))), outer
		}
		for _, inner := range []string{"md5", "sha1", "sha256", "sha512"} {
			all[outer+" of "+inner] = func(s string) (string, string) {
				how := outer + ", " + inner
				if outer == inner {
					how = outer
				}
				return hex.EncodeToString(sum(outer, hex.EncodeToString(sum(inner, s)))), how
			}
		}
	}
	return all
}

func backwards(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func escaped(s string) string {
	var b strings.Builder
	for _, c := range s {
		fmt.Fprintf(&b, `\u%04x`, c)
	}
	return b.String()
}

func codes(s string) string {
	var all []string
	for _, c := range []byte(s) {
		all = append(all, fmt.Sprint(c))
	}
	return strings.Join(all, ",")
}

// patient draws what a made-up patient types.
func patient(t interface{ Fatal(...any) }) []leak.Secret {
	m := leak.Marks{Rand: rand.Reader}
	var all []leak.Secret
	for name, draw := range map[string]func() (string, error){"name": m.Name, "e-mail": m.Mail, "telephone": m.Phone, "reason": m.Text} {
		v, err := draw()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leak.Secret{Name: name, Value: v})
	}
	return all
}

func TestEveryWayOfSendingAValueIsFound(t *testing.T) {
	for name, way := range ways(t) {
		t.Run(name, func(t *testing.T) {
			secrets := patient(t)
			f := leak.New(secrets)
			for i, s := range secrets {
				sent, want := way(s.Value)
				got := f.Find([]byte("https://t.example/p?a=1&v=" + sent + "&z=2"))
				if strings.Contains(name, "gzip") || strings.Contains(name, "zlib") || strings.Contains(name, "deflate") {
					got = f.Find([]byte(sent))
				}
				if len(got) != 1 || got[0].Secret != i {
					t.Fatalf("%q sent as %q: found %+v, want secret %d", s.Value, sent, got, i)
				}
				if want != "" && got[0].Encoding() != want {
					t.Errorf("%q sent as %s is called %q, want %q", s.Value, name, got[0].Encoding(), want)
				}
			}
		})
	}
}

func TestAValueInsideOfAnythingIsFound(t *testing.T) {
	all := ways(t)
	names := []string{}
	for name := range all {
		names = append(names, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		secrets := patient(rt)
		f := leak.New(secrets)
		i := rapid.IntRange(0, len(secrets)-1).Draw(rt, "which")
		name := rapid.SampledFrom(names).Draw(rt, "way")
		sent, _ := all[name](secrets[i].Value)
		before := rapid.StringMatching(`[a-z]{0,20}[=:"]`).Draw(rt, "before")
		after := rapid.StringMatching(`(["&;][ -~]{0,40})?`).Draw(rt, "after")
		if strings.Contains(name, "zlib") || strings.Contains(name, "deflate") {
			before, after = "", ""
		}
		got := f.Find([]byte(before + sent + after))
		for _, h := range got {
			if h.Secret == i {
				return
			}
		}
		rt.Fatalf("%s of %q after %q, before %q: not found", name, secrets[i].Value, before, after)
	})
}

func TestWhatWasNotSentIsNotFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := leak.New(patient(rt))
		b := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "body")
		if got := f.Find(b); len(got) > 0 {
			rt.Fatalf("found %+v in bytes that chance made", got)
		}
	})
}

func trail(values ...leak.Part) *leak.Trail {
	var t leak.Trail
	for _, v := range values {
		t.Add([]leak.Part{{Key: "v", Value: "1"}, v})
	}
	return &t
}

func TestAValueThatIsSentInPiecesIsFound(t *testing.T) {
	secrets := []leak.Secret{{Name: "e-mail", Value: "Qzvkwtrxm@example.com"}, {Name: "page", Value: "Anxiety help", Common: true}}
	f := leak.New(secrets)
	keys := func(each func(byte) string) (all []leak.Part) {
		for _, c := range []byte(secrets[0].Value) {
			all = append(all, leak.Part{Key: "k", Value: each(c)})
		}
		return all
	}
	for name, c := range map[string]struct {
		parts []leak.Part
		want  string
	}{
		"key by key":       {keys(func(c byte) string { return string(c) }), "key by key"},
		"codes of keys":    {keys(func(c byte) string { return fmt.Sprint(c) }), "key by key"},
		"codes, shifted":   {keys(func(c byte) string { return fmt.Sprint(strings.ToUpper(string(c))[0]) }), "key by key, upper case"},
		"names of keys":    {keys(func(c byte) string { return "Key" + strings.ToUpper(string(c)) }), "key by key, lower case"},
		"halves":           {[]leak.Part{{Key: "a", Value: "Qzvkwtr"}, {Key: "b", Value: "xm@example.com"}}, "split"},
		"three, backwards": {[]leak.Part{{Key: "c", Value: "example.com"}, {Key: "b", Value: "wtrxm@"}, {Key: "a", Value: "Qzvk"}}, "split"},
		"base64 in halves": {[]leak.Part{{Key: "a", Value: base64.StdEncoding.EncodeToString([]byte("Qzvkwtrxm@example.com"))[:10]}, {Key: "a", Value: base64.StdEncoding.EncodeToString([]byte("Qzvkwtrxm@example.com"))[10:]}}, "split, base64"},
	} {
		t.Run(name, func(t *testing.T) {
			got := f.FindTrail(trail(c.parts...))
			if len(got) != 1 || got[0].Secret != 0 || got[0].Encoding() != c.want {
				t.Errorf("found %+v, want %s", got, c.want)
			}
		})
	}
	if got := f.FindTrail(trail(leak.Part{Key: "a", Value: "Anxiety"}, leak.Part{Key: "b", Value: "help"}, leak.Part{Key: "c", Value: "Qzvkwtr"})); len(got) > 0 {
		t.Errorf("found %+v in words that are not all there", got)
	}
}

func TestAPostalCodeCountsOnlyByItself(t *testing.T) {
	f := leak.New([]leak.Secret{{Name: "postal code", Value: "00517", Exact: true}})
	u, _ := url.Parse("https://t.example/a/x?zip=00517&n=1005179")
	if got := f.FindExact(leak.Parts(u, "", nil)); len(got) != 1 || got[0].Key != "zip" {
		t.Errorf("found %+v, want the zip alone", got)
	}
	if got := f.Find([]byte("n=1005179")); len(got) != 0 {
		t.Errorf("found %+v inside of another number", got)
	}
}

func TestARequestIsTakenApart(t *testing.T) {
	u, _ := url.Parse("https://abc.t.example/p/qq?x=1&y=a%20b")
	for name, c := range map[string]struct{ kind, body, want string }{
		"form":       {"application/x-www-form-urlencoded", "a=b+c&d=e", "host=abc host=t host=example path=p path=qq x=1 y=a b a=b c d=e"},
		"JSON":       {"application/json", `{"a":{"b":["x",{"c":2}]},"d":"y"}`, "host=abc host=t host=example path=p path=qq x=1 y=a b a.b=x a.b.c=2 d=y"},
		"JSON lines": {"text/plain", "{\"a\":\"x\"}\n{\"a\":\"y\"}", "host=abc host=t host=example path=p path=qq x=1 y=a b a=x a=y"},
		"multipart":  {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nv\r\n--B--\r\n", "host=abc host=t host=example path=p path=qq x=1 y=a b f=v"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range leak.Parts(u, c.kind, []byte(c.body)) {
				got = append(got, p.Key+"="+p.Value)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
		})
	}
}

// FuzzFind gives bytes of strangers to everything that reads them.
func FuzzFind(f *testing.F) {
	for _, way := range ways(f) {
		sent, _ := way("Qzvkwtrxm@example.com")
		f.Add("application/json", []byte(sent))
	}
	f.Add("multipart/form-data; boundary=B", []byte("--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nv"))
	f.Add("application/json", []byte(`{"a":[1,{"b":"c"}]`+"]}"))
	finder := leak.New([]leak.Secret{{Name: "e-mail", Value: "Bwxmqkgzp@example.com"}, {Name: "postal code", Value: "00517", Exact: true}})
	u, _ := url.Parse("https://t.example/p?x=1")
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		parts := leak.Parts(u, kind, body)
		var trail leak.Trail
		trail.Add(parts)
		trail.Add(parts)
		for _, hits := range [][]leak.Hit{finder.Find(body), finder.FindExact(parts), finder.FindTrail(&trail)} {
			for _, h := range hits {
				if len(h.How) == 0 || h.Secret > 1 {
					t.Fatalf("a hit that says nothing: %+v", h)
				}
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	f := leak.New(patient(b))
	body := []byte(strings.Repeat(`{"event":"view","time":1700000000,"path":"/about","id":"d41d8cd98f00b204e9800998ecf8427e"},`, 100))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		f.Find(body)
	}
}
