package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quietroom/ground/id"
	"quietroom/layer"
)

// Items tells a chart what was imported among its entries: one line for each
// kind of resource, from what lists show, so that no chart waits for it.
func (x *Exchange) Items(_ context.Context, p id.Patient, entries []layer.Entry) ([]layer.Item, error) {
	var items []layer.Item
	for _, e := range entries {
		h, ours := readHead(e.Head)
		if !ours {
			continue
		}
		for i, kind := range h.kinds() {
			items = append(items, layer.Item{Title: spaced(kind), Kind: count(h.Types[kind], "record", "records"), When: e.At, Page: fmt.Sprintf("%s/%s/%d", pageOf(p), layer.PartChart, i)})
		}
	}
	return items, nil
}

// kinds are the types of a set, in an order that only a new type changes.
func (h head) kinds() []string { return slices.Sorted(maps.Keys(h.Types)) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// spaced turns "MedicationRequest" into "Medication request", and "birthDate"
// into "Birth date".
func spaced(name string) string {
	var b strings.Builder
	for i, c := range name {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(string(c)))
		case 'A' <= c && c <= 'Z':
			b.WriteByte(' ')
			b.WriteRune(c | 0x20)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// straight is a text of another system as a page shows it: without the controls
// that turn letters around, so that "evas" is never read as "save" (UAX #9,
// section 2). What is stored keeps them.
func straight(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, text)
}

// field is one value of a resource, as a page shows it.
type field struct{ Name, Text string }

// How much of a resource a page shows. The rest is in the export.
const (
	mostFields = 500
	mostText   = 2000
	mostJSON   = 256 << 10
)

// fields lists the values of a resource in their order, each under the way that
// leads to it: "Code › Coding 2 › Display". cut tells that there are more.
func fields(raw []byte) (list []field, cut bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	w := walk{d: d}
	w.value(nil)
	return w.list, w.cut
}

type walk struct {
	d    *json.Decoder
	list []field
	cut  bool
}

// value reads the next value; false where there is none to read.
func (w *walk) value(way []string) bool {
	t, err := w.d.Token()
	if err != nil {
		return false
	}
	switch v := t.(type) {
	case json.Delim:
		return w.inside(v, way)
	case nil:
	default:
		w.add(way, fmt.Sprint(v))
	}
	return true
}

func (w *walk) inside(open json.Delim, way []string) bool {
	for i := 1; w.d.More(); i++ {
		inner := numbered(way, i)
		if open == '{' {
			name, err := w.d.Token()
			if err != nil {
				return false
			}
			inner = append(slices.Clip(way), spaced(fmt.Sprint(name)))
		}
		if !w.value(inner) {
			return false
		}
	}
	_, err := w.d.Token()
	return err == nil
}

// numbered puts a number behind the name of a list's second and later items.
func numbered(way []string, i int) []string {
	if i == 1 || len(way) == 0 {
		return way
	}
	way = slices.Clone(way)
	way[len(way)-1] += fmt.Sprint(" ", i)
	return way
}

func (w *walk) add(way []string, text string) {
	name, text := straight(strings.Join(way, " › ")), straight(text)
	if name == "Resource type" || name == "Text › Div" { // the page's name, and the same once more as HTML
		return
	}
	if len(w.list) == mostFields {
		w.cut = true
		return
	}
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
		w.cut = true
	}
	w.list = append(w.list, field{name, text})
}
