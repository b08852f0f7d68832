package exchange

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestName keeps a name, with a number put in, below the 255 bytes of most disks.
const longestName = 180

// names are the names of files that were given in one folder, folded as disks
// that do not tell capitals apart would.
type names map[string]bool

// free makes a name for a file that leads nowhere, means nothing to any
// operating system, and was not given before.
func (n names) free(wanted string) string {
	name := harmless(wanted)
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 2; n[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
	n[strings.ToLower(name)] = true
	return name
}

func harmless(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		// Control, and what turns text around: "exe.txt" must not read "txt.exe".
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	stem := cut(strings.TrimSuffix(name, ext), longestName-len(ext))
	if stem == "" {
		stem = "file"
	}
	if device(stem) {
		stem = "_" + stem
	}
	return strings.TrimRight(stem+ext, ". ")
}

// cut shortens a text to n bytes without cutting a letter apart.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// device tells the names that Windows keeps for itself, whatever follows a dot.
func device(stem string) bool {
	stem, _, _ = strings.Cut(strings.ToUpper(stem), ".")
	switch stem = strings.TrimRight(stem, " "); {
	case stem == "CON", stem == "PRN", stem == "AUX", stem == "NUL":
		return true
	case len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")):
		return stem[3] >= '0' && stem[3] <= '9'
	}
	return false
}

// looked is how many first bytes of a file tell whether it is a page.
const looked = 1024

// activeNames end what a browser opens as a page that may run scripts.
var activeNames = []string{".html", ".htm", ".xhtml", ".xht", ".shtml", ".shtm", ".svg", ".svgz", ".xml", ".xsl", ".xslt", ".mhtml", ".mht", ".hta"}

// active tells whether a browser would run a file that lies in the folder: by
// its name, or by its first bytes where the name does not say that it is text.
func active(name string, first []byte) bool {
	ext := strings.ToLower(path.Ext(name))
	if slices.Contains(activeNames, ext) {
		return true
	}
	return ext != ".txt" && markup(first)
}

// markup tells whether a text begins as HTML or XML does, or holds some soon: as
// generous as the most generous browser.
func markup(first []byte) bool {
	text := bytes.ToLower(bytes.ReplaceAll(first, []byte{0}, nil)) // UTF-16 as well
	text = bytes.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == utf8.RuneError })
	if bytes.HasPrefix(text, []byte("<")) {
		return true
	}
	if !strings.HasPrefix(http.DetectContentType(first), "text/") {
		return false
	}
	return slices.ContainsFunc([]string{"<html", "<!doctype", "<?xml", "<svg", "<script", "<body", "<iframe", "<img"}, func(tag string) bool {
		return bytes.Contains(text, []byte(tag))
	})
}
