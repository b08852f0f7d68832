package leak

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// form is a value as somebody may have tidied it before sending.
type form struct {
	text string
	how  []string
}

// forms are a value's own spellings, plainest first.
func forms(value string) []form {
	all := []form{{value, nil}}
	add := func(text string, how ...string) {
		for _, f := range all {
			if f.text == text {
				return
			}
		}
		if len(text) >= shortest {
			all = append(all, form{text, how})
		}
	}
	lower, upper := strings.ToLower(value), strings.ToUpper(value)
	add(lower, "lower case")
	add(upper, "upper case")
	add(strings.ReplaceAll(value, " ", ""), "trimmed")
	add(packed(value), "trimmed")
	add(packed(lower), "trimmed")
	add(packed(upper), "trimmed")
	if d := digits(value); len(d) >= 7 && len(d)*2 > len(value) { // a number: of a telephone, of a person
		if len(d) == 10 {
			for _, sep := range []string{"-", ".", " ", "/"} {
				add(d[:3]+sep+d[3:6]+sep+d[6:], "trimmed")
			}
			add("("+d[:3]+")"+d[3:6]+"-"+d[6:], "trimmed")
		}
		add(d, "trimmed")
		add("1"+d, "trimmed")
		add("+1"+d, "trimmed")
		add("+"+d, "trimmed")
	}
	if name, host, ok := strings.Cut(lower, "@"); ok { // an address: as the largest providers tidy it
		name, _, _ = strings.Cut(name, "+")
		add(strings.ReplaceAll(name, ".", "")+"@"+host, "trimmed")
		add(name, "first part")
		add(strings.ToUpper(name), "first part")
	}
	if y, m, d, ok := date(value); ok {
		for _, text := range []string{y + m + d, m + "/" + d + "/" + y, d + "." + m + "." + y, m + d + y, d + "/" + m + "/" + y, m + "-" + d + "-" + y} {
			add(text, "other order")
		}
		if day, err := time.Parse(time.DateOnly, value); err == nil {
			add(day.Format("1/2/2006"), "other order")
			add(day.Format("January 2, 2006"), "other order")
			add(strconv.FormatInt(day.UnixMilli(), 10), "as a number")
			add(strconv.FormatInt(day.Unix(), 10), "as a number")
		}
	}
	if words := strings.Fields(value); len(words) > 1 { // a name, a sentence
		for _, w := range words {
			if rare(w) {
				add(w, "part")
				add(strings.ToLower(w), "part")
				add(strings.ToUpper(w), "part")
			}
		}
	}
	for _, f := range []string{value, lower} {
		add(reversed(f), "reversed")
		add(rot13(f), "rot13")
	}
	return all
}

// rare tells whether a word is a mark of ours and not one of the language: long
// and with a letter that English hardly doubles up. Marks are made so, see Word.
func rare(w string) bool { return len(w) >= 8 && strings.ContainsAny(strings.ToLower(w), "qxzj") }

func packed(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '(' || r == ')' {
			return -1
		}
		return r
	}, s)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// date reads 1987-04-13.
func date(s string) (y, m, d string, ok bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' || len(digits(s)) != 8 {
		return "", "", "", false
	}
	return s[:4], s[5:7], s[8:], true
}

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

func rot13(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, s)
}

// hashes are the functions with which advertisers match people.
var hashes = []struct {
	name string
	sum  func(string) []byte
}{
	{"md5", func(s string) []byte { h := md5.Sum([]byte(s)); return h[:] }},
	{"sha1", func(s string) []byte { h := sha1.Sum([]byte(s)); return h[:] }},
	{"sha256", func(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }},
	{"sha512", func(s string) []byte { h := sha512.Sum512([]byte(s)); return h[:] }},
	{"sha384", func(s string) []byte { h := sha512.Sum384([]byte(s)); return h[:] }},
	{"sha224", func(s string) []byte { h := sha256.Sum224([]byte(s)); return h[:] }},
}

// doubled are the ones whose hash is known to be hashed again.
const doubled = 4

// needlesOf are all byte strings that tell a value. Words of the language are not
// looked for as hashes of hashes: nobody matches people by them.
func needlesOf(value string, common bool) iter.Seq[needle] {
	return func(yield func(needle) bool) {
		for _, f := range forms(value) {
			if !plainForms(f, yield) || !hashedForms(f, common, yield) {
				return
			}
		}
	}
}

// plainForms are the spellings that can be read back.
func plainForms(f form, yield func(needle) bool) bool {
	say := func(text string, how ...string) bool { return yield(needle{text: text, how: chainForm(f.how, how)}) }
	if !yield(needle{text: f.text, how: f.how}) {
		return false
	}
	if len(f.text) < shortest+1 {
		return true
	}
	h := hex.EncodeToString([]byte(f.text))
	if !say(h, "hex") || !say(strings.ToUpper(h), "hex") {
		return false
	}
	if len(f.text) >= 8 {
		if !say(strings.TrimRight(base32.StdEncoding.EncodeToString([]byte(f.text)), "=")[:len(f.text)*8/5], "base32") {
			return false
		}
	}
	for offset := range 3 {
		std := aligned(f.text, offset)
		if !say(std, "base64") || !say(urlSafe.Replace(std), "base64") {
			return false
		}
	}
	return true
}

// aligned is the part of the base64 of any text with value in it that depends
// on value alone, where value begins offset bytes after a multiple of three.
func aligned(value string, offset int) string {
	all := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + value))
	from := (offset*8 + 5) / 6          // characters touched by what stands before
	to := (offset + len(value)) * 8 / 6 // characters not touched by what stands after
	return all[from:max(from, min(to, len(all)))]
}

var urlSafe = strings.NewReplacer("+", "-", "/", "_")

// hashedForms are what an advertiser compares with a list of its own.
func hashedForms(f form, common bool, yield func(needle) bool) bool {
	for i, h := range hashes {
		sum := h.sum(f.text)
		if !spell(sum, chainForm(f.how, []string{h.name}), yield) {
			return false
		}
		if i >= doubled || common {
			continue
		}
		text := hex.EncodeToString(sum)
		for _, again := range hashes[:doubled] {
			twice := chainForm(f.how, []string{again.name, h.name})
			for _, inner := range []string{text, string(sum)} {
				if !spell(again.sum(inner), twice, yield) {
					return false
				}
			}
		}
	}
	coded := base64.StdEncoding.EncodeToString([]byte(f.text))
	for _, h := range hashes[:doubled] {
		if !spell(h.sum(coded), chainForm(f.how, []string{h.name, "base64"}), yield) {
			return false
		}
	}
	return true
}

// telling is how many bytes of a hash are looked for: 64 bits, which chance does
// not find, and which some send alone.
const telling = 8

// spell writes a hash as it is sent.
func spell(sum []byte, how []string, yield func(needle) bool) bool {
	sum = sum[:telling]
	h, b := hex.EncodeToString(sum), base64.RawStdEncoding.EncodeToString(sum)[:telling*4/3]
	for _, text := range []string{h, strings.ToUpper(h), b, urlSafe.Replace(b), string(sum)} {
		if !yield(needle{text: text, how: how}) {
			return false
		}
	}
	return true
}

// chainForm tells the outer encoding first. A tidied spelling under a hash is not
// told: "sha256" says enough.
func chainForm(tidied, coded []string) []string {
	for _, t := range tidied {
		if t == "reversed" || t == "rot13" {
			return append(append([]string{}, coded...), t)
		}
	}
	return coded
}
