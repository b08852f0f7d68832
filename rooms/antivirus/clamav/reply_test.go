package clamav

import (
	"strings"
	"testing"
)

func TestOnlyAPlainOKIsClean(t *testing.T) {
	for line, want := range map[string]Answer{
		"stream: OK\x00": {Kind: Clean},
		"stream: Eicar-Test-Signature.UNOFFICIAL FOUND\x00":     {Kind: Found, Name: "Eicar-Test-Signature"},
		"stream: Win.Trojan.<b>\n FOUND\x00":                    {Kind: Found, Name: "Win.Trojan._b__"},
		"stream: Heuristics.Encrypted.Zip FOUND\x00":            {Why: Encrypted},
		"stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND": {Why: TooDeep},
		"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND":  {Why: TooLarge},
		"INSTREAM size limit exceeded. ERROR\x00":               {Why: TooLarge},
		"stream: Can't allocate memory ERROR\x00":               {Why: NoMemory},
		"stream: Heuristics.OLE2.ContainsMacros.VBA FOUND\x00":  {Why: Macros},
		"stream: Time limit reached ERROR\x00":                  {Why: TooLong},
		"stream: OK. ERROR\x00":                                 {Why: Broken},
		"COMMAND READ TIMED OUT\x00":                            {Why: Down},
		"/etc/passwd: OK\x00":                                   {Why: Down},
		"OK\x00":                                                {Why: Down},
		"":                                                      {Why: Down},
		"stream: OK OK\x00":                                     {Why: Down},
		"stream:  FOUND\x00":                                    {Kind: Found, Name: "Unnamed"},
	} {
		if got := ParseReply(line); got != want {
			t.Errorf("%q: got %+v, want %+v", line, got, want)
		}
	}
}

// FuzzWhatTheEngineSays: whatever clamd or freshclam print, only one line is
// clean, and no name carries more than letters.
func FuzzWhatTheEngineSays(f *testing.F) {
	for _, s := range []string{"stream: OK\x00", "stream: X FOUND", "ClamAV 1.4.6/27000/Wed Jun 23 01:34:05 2021", "ClamAV 1.4.6", "ClamAV-VDB:22 Jun 2021 14-58 -0400:1:0:81:a:b", "daily.cvd updated (version: 1)", "LibClamAV Error: Can't load /proc/self/fd/3/bad.ndb: Malformed database"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := ParseReply(s)
		if a.Kind == Clean && strings.TrimRight(s, "\x00\n") != "stream: OK" {
			t.Fatalf("%q is called clean", s)
		}
		if (a.Kind == Found) != (a.Name != "") || (a.Kind == Unscanned) != (a.Why != "") {
			t.Fatalf("%q: %+v", s, a)
		}
		if a.Kind == Found && a.Name != safeName(a.Name) || len(a.Name) > mostName {
			t.Fatalf("%q: name %q", s, a.Name)
		}
		if v, ok := ParseVersion(s); ok && (v.Engine == "" || v.Number > 0 && v.Built.IsZero()) {
			t.Fatalf("%q: %+v", s, v)
		}
		if h, ok := ParseHead([]byte(s)); ok && h.Number < 0 {
			t.Fatalf("%q: %+v", s, h)
		}
		if name := unloaded(s); strings.ContainsAny(name, "/\\") || name == ".." {
			t.Fatalf("%q: %q", s, name)
		}
		if o := ParseUpdate(s, 1); o == Updated || o == Same {
			t.Fatalf("%q with code 1: %q", s, o)
		}
	})
}
