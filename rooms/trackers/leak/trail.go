package leak

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Part is one named piece of a request: a value of its address, its form or its JSON.
type Part struct {
	Key   string
	Value string
}

// Parts takes a request apart: labels of the host, segments of the path, the
// query, and the body as far as it is a form, JSON or lines of JSON.
func Parts(u *url.URL, contentType string, body []byte) []Part {
	var all []Part
	for _, label := range strings.Split(u.Hostname(), ".") {
		all = append(all, Part{"host", label})
	}
	for _, segment := range strings.Split(strings.Trim(u.Path, "/"), "/") {
		if segment != "" {
			all = append(all, Part{"path", segment})
		}
	}
	all = append(all, pairs(u.RawQuery)...)
	return append(all, BodyParts(contentType, body)...)
}

// BodyParts takes a body apart.
func BodyParts(contentType string, body []byte) []Part {
	kind, params, _ := mime.ParseMediaType(contentType)
	trimmed := bytes.TrimSpace(body)
	switch {
	case len(trimmed) == 0:
		return nil
	case strings.HasPrefix(kind, "multipart/"):
		return multi(body, params["boundary"])
	case trimmed[0] == '{' || trimmed[0] == '[':
		return jsonParts(trimmed)
	case kind == "application/x-www-form-urlencoded" || bytes.IndexByte(trimmed, '=') > 0 && !bytes.ContainsAny(trimmed, " \n<"):
		return pairs(string(trimmed))
	}
	for _, views := range [][][]byte{ungzip(body), inflate(body)} {
		for _, v := range views {
			return BodyParts(contentType, v)
		}
	}
	return []Part{{"body", string(body)}}
}

// pairs keeps the order in which they stand.
func pairs(query string) (all []Part) {
	for pair := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			key, value = k, v
		}
		if value == "" && key != "" {
			key, value = "name", key
		}
		if value != "" {
			all = append(all, Part{key, value})
		}
	}
	return all
}

func multi(body []byte, boundary string) (all []Part) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for len(all) < mostParts {
		p, err := r.NextRawPart()
		if err != nil {
			return all
		}
		value, err := io.ReadAll(io.LimitReader(p, mostBytes/4))
		all = append(all, Part{p.FormName(), string(value)})
		if err != nil {
			return all
		}
	}
	return all
}

// mostParts bounds what one request is taken apart into.
const mostParts = 5000

// jsonParts reads JSON, also several values one after another, in its own order.
func jsonParts(body []byte) (all []Part) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		key    string
		object bool
		isKey  bool // the next text is a key
	}
	var stack []level
	path := func() string {
		var keys []string
		for _, l := range stack {
			if l.object && l.key != "" {
				keys = append(keys, l.key)
			}
		}
		return strings.Join(keys, ".")
	}
	done := func() {
		if n := len(stack); n > 0 && stack[n-1].object {
			stack[n-1].isKey = true
		}
	}
	for len(all) < mostParts && len(stack) < 100 {
		t, err := d.Token()
		if err != nil {
			return all
		}
		if delim, ok := t.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				stack = append(stack, level{object: delim == '{', isKey: delim == '{'})
				continue
			}
			stack = stack[:len(stack)-1]
			done()
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].isKey {
			stack[n-1].key, stack[n-1].isKey = t.(string), false
			continue
		}
		switch v := t.(type) {
		case string:
			all = append(all, Part{path(), v})
		case json.Number:
			all = append(all, Part{path(), v.String()})
		}
		done()
	}
	return all
}

// FindExact looks for secrets that are a part by themselves. It finds those too
// that are too common to be looked for inside of others.
func (f *Finder) FindExact(parts []Part) []Hit {
	best := map[int]Hit{}
	for _, p := range parts {
		if p.Key == "host" || p.Key == "path" && len(p.Value) < shortest {
			continue
		}
		value := strings.ToLower(strings.TrimSpace(p.Value))
		for _, i := range f.exact[value] {
			keep(best, Hit{Secret: i, How: []string{"plain"}, Text: excerpt([]byte(p.Key+"="+p.Value), 0, 120), Key: p.Key})
		}
	}
	return sorted(best)
}

// Trail is what one receiver got in several requests or frames, in their order:
// a value that was cut up, or sent key by key, shows only here.
type Trail struct {
	parts []Part
	size  int
}

// mostTrail bounds what is remembered of one receiver, in bytes.
const mostTrail = 1 << 20

// Add remembers the parts of the next request.
func (t *Trail) Add(parts []Part) {
	for _, p := range parts {
		if p.Key == "host" || t.size > mostTrail {
			continue
		}
		t.size += len(p.Value)
		t.parts = append(t.parts, p)
	}
}

// FindTrail looks for secrets that show only in several requests together.
func (f *Finder) FindTrail(t *Trail) []Hit {
	best := map[int]Hit{}
	byKey, order := map[string][]string{}, []string{}
	var all []string
	for _, p := range t.parts {
		if byKey[p.Key] == nil {
			order = append(order, p.Key)
		}
		byKey[p.Key] = append(byKey[p.Key], p.Value)
		all = append(all, p.Value)
	}
	for _, key := range order {
		if values := byKey[key]; len(values) > 1 {
			f.strung(values, key, best)
		}
	}
	f.strung(all, "", best)
	f.covered(all, best)
	return sorted(best)
}

// strung puts values one after another: whole ones, and single keys.
func (f *Finder) strung(values []string, key string, best map[int]Hit) {
	var pieces, keys strings.Builder
	for _, v := range values {
		pieces.WriteString(v)
		keys.WriteString(keyOf(v))
	}
	for _, s := range []struct{ text, how string }{{keys.String(), "key by key"}, {pieces.String(), "split"}} {
		for v := range viewsOf([]byte(s.text)) {
			found := map[int]Hit{}
			f.look(v, found)
			for _, h := range found {
				if h.How[0] == "plain" {
					h.How = nil
				}
				h.How, h.Key = append([]string{s.how}, h.How...), key
				keep(best, h)
			}
		}
	}
}

// keyOf is the character of one key: itself, its code, or its name on a keyboard.
func keyOf(v string) string {
	switch {
	case utf8.RuneCountInString(v) == 1:
		return v
	case strings.HasPrefix(v, "Key") && len(v) == 4:
		return strings.ToLower(v[3:])
	case strings.HasPrefix(v, "Digit") && len(v) == 6:
		return v[5:]
	}
	if n, err := strconv.Atoi(v); err == nil && n >= 32 && n < 127 && len(v) < 4 {
		return string(rune(n))
	}
	return ""
}

// smallest is how short a piece may be that is put together out of order. All of
// a value has to be there, so that chance does not find one.
const smallest = 3

// covered finds secrets whose pieces came in any order.
func (f *Finder) covered(values []string, best map[int]Hit) {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	for i, s := range f.secrets {
		if _, ok := best[i]; ok || s.Exact || s.Common || len(s.Value) < 2*smallest {
			continue
		}
		for _, form := range forms(s.Value) {
			if slices.Contains(form.how, "part") || slices.Contains(form.how, "first part") {
				continue
			}
			if wholly(form.text, values) {
				keep(best, Hit{Secret: i, How: append([]string{"split"}, form.how...), Text: "in several pieces"})
				break
			}
		}
	}
}

// wholly tells whether pieces lie over all of text.
func wholly(text string, pieces []string) bool {
	seen := make([]bool, len(text))
	left := len(text)
	for _, p := range pieces {
		if len(p) < smallest || len(p) > len(text) {
			continue
		}
		for at := 0; ; {
			next := strings.Index(text[at:], p)
			if next < 0 {
				break
			}
			at += next
			for i := range len(p) {
				if !seen[at+i] {
					seen[at+i], left = true, left-1
				}
			}
			at++
		}
	}
	return left == 0
}
