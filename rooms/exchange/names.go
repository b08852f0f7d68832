package exchange

import (
	"fmt"
	"path"
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
