package quietroom_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// neverSaid are sentences that promise more than anybody can keep, with what is
// true instead. They are compared in lower case, with "-" read as a space.
var neverSaid = []struct{ phrase, instead string }{
	{"hipaa compliant", "say what was done and show its proof; compliance is a person's conclusion"},
	{"hipaa certified", "nobody certifies this; say what was done and show its proof"},
	{"nobody outside the room can read", "say: unreadable from what a thief copies"},
	{"impossible by construction", "say what was tried, and that it did not open"},
	{"phishing gets nothing", "say: a passkey cannot be phished; a typed code can"},
	{"safe harbor applies", "say: facts for counsel"},
	{"a lost laptop was unreadable", "say: encrypted at its last report, and when that was"},
	{"the laptop was unreadable", "say: encrypted at its last report, and when that was"},
	{"your backups open", "say how many records of how many were opened, and when"},
	{"encrypted, so safe", "say against whom, and while which keys are not in use"},
	{"fips validated", "say: approved algorithms of the Go Cryptographic Module, certificate in process"},
	{"fips 140 3 validated", "say: approved algorithms of the Go Cryptographic Module, certificate in process"},
	{"fips certified", "say: approved algorithms of the Go Cryptographic Module, certificate in process"},
}

// quoted marks the place in docs/ where the phrases may stand: a sentence that
// tells that we do not say them.
const quoted = "never say"

var spaces = regexp.MustCompile(`[\s-]+`)

func plain(s string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(strings.ToLower(s), " "))
}

// promises returns the number of each line on which a phrase begins that we
// never say, with the phrase. A phrase may run over the end of its line. A
// quotation is a paragraph that says so.
func promises(text string, mayQuote bool) map[int]string {
	found := map[int]string{}
	lines := strings.Split(text, "\n")
	paragraphQuotes := false
	for i, line := range lines {
		if plain(line) == "" {
			paragraphQuotes = false
		}
		paragraphQuotes = paragraphQuotes || strings.Contains(plain(line), quoted)
		if mayQuote && paragraphQuotes {
			continue
		}
		next := ""
		if i+1 < len(lines) {
			next = plain(lines[i+1])
		}
		both := plain(line) + " " + next
		for _, never := range neverSaid {
			if strings.Contains(both, never.phrase) && !strings.Contains(next, never.phrase) {
				found[i+1] = never.phrase + " (" + never.instead + ")"
			}
		}
	}
	return found
}

// readByPeople says whether a file's words reach a person who uses Quietroom.
func readByPeople(file string) bool {
	dir, _, _ := strings.Cut(file, "/")
	switch filepath.Ext(file) {
	case ".html", ".js", ".sql":
		return true
	case ".go":
		return (dir == "cmd" || dir == "rooms" || dir == "ground" || dir == "layer" || dir == "agent") && !inTests(file)
	case ".md":
		return true
	}
	return false
}

// someonesDisk finds paths of the machine on which a file was written. It does
// not look for home directories: /home is a page of ours.
var someonesDisk = regexp.MustCompile(`(^|[\s"'(=` + "`" + `])/(work|root|Users)/[A-Za-z0-9._-]+`)

func TestWeNeverPromiseWhatNobodyCanKeep(t *testing.T) {
	seen := 0
	eachFile(t, func(file, text string) {
		if !readByPeople(file) {
			return
		}
		seen++
		for line, phrase := range promises(text, strings.HasPrefix(file, "docs/")) {
			t.Errorf("%s:%d says %s", file, line, phrase)
		}
	})
	if seen < fewestPackages {
		t.Fatalf("saw %d files, so the words were not looked at", seen)
	}
}

func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	eachFile(t, func(file, text string) {
		for i, line := range strings.Split(text, "\n") {
			if found := someonesDisk.FindString(line); found != "" {
				t.Errorf("%s:%d names a path of one machine, %s: use a path inside the tree", file, i+1, strings.TrimSpace(found))
			}
		}
	})
}

// eachFile calls f with every text file of the tree that is not made by make.
func eachFile(t *testing.T, f func(file, text string)) {
	t.Helper()
	left := []string{"testdata", "dist", "bin", "demo", "house"}
	text := []string{".go", ".md", ".html", ".css", ".js", ".sql", ".mod", ".sum", ""}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || slices.Contains(left, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !slices.Contains(text, filepath.Ext(file)) {
			return nil
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(file), string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPromiseIsFound(t *testing.T) {
	for _, c := range []struct {
		title, text string
		mayQuote    bool
		line        int // 0: none
	}{
		{"plain words", "Sealed here: 214 patients.", false, 0},
		{"in the middle of a page", "<p>\nYou are HIPAA-compliant now.</p>", false, 2},
		{"over the end of a line", "Relax: your\n  backups open.\n", false, 1},
		{"quoted in the documents", "What we never say:\n- \"HIPAA compliant\"", true, 0},
		{"quoted on a page", "We never say HIPAA compliant", false, 1},
		{"after the quotation", "We never say this.\n\nHIPAA compliant", true, 3},
	} {
		t.Run(c.title, func(t *testing.T) {
			found := promises(c.text, c.mayQuote)
			if c.line == 0 && len(found) > 0 {
				t.Errorf("found %v in words that may stand", found)
			}
			if c.line > 0 && found[c.line] == "" {
				t.Errorf("found %v, want line %d", found, c.line)
			}
		})
	}
	if !someonesDisk.MatchString("see /" + "Users/ana/notes") {
		t.Error("a path of one machine goes unnoticed")
	}
}
