// Package quietroom_test holds the drawing of the house as a table, and fails
// with a plain sentence when a wall is broken. ARCHITECTURE.md shows the same
// drawing to people.
package quietroom_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "quietroom"

// part is one part of the drawing: the packages at and under at.
// In at, "*" stands for one name, so that each room is a part of its own.
type part struct {
	at   string
	may  []string // the parts it may import besides its own packages
	why  string   // why there is a wall around it
	mend string   // what to do instead; %s is the part
}

var (
	bottom = []string{"ground/id"}
	ground = []string{"ground/id", "ground/seal", "ground/store", "ground/law", "ground/ledger", "ground/web"}
)

// drawing reads downwards: a part imports only what stands below it. The first
// line that fits a package is its part.
var drawing = []part{
	{"cmd", []string{"rooms/*", "agent", "layer", "ground/*", "madeup"},
		"nothing stands above cmd", "Move it below cmd."},
	{"agent", []string{"ground/id", "ground/ledger", "ground/seal", "rooms/devices/wire"},
		"the agent runs on every computer of the practice and must not carry the house with it",
		"Put what both ends need into rooms/devices/wire."},
	{"rooms/devices/wire", []string{"ground/id", "ground/ledger", "ground/seal"},
		"the wire is carried by the agent, and the agent must not carry the house with it",
		"Keep the wire to messages; what acts on them belongs to rooms/devices or to agent."},
	{"rooms/identity/authenticator", []string{"ground/seal"},
		"it plays a person's own device in drills and tests, and must see a house from outside only",
		"Give it what it needs over HTTP, or as a value."},
	{"rooms/*", append([]string{"layer"}, ground...),
		"rooms do not know each other, so that each can be read alone and taken out",
		"Declare the one method it needs as an interface in %s; cmd/quietroom/house.go hands the neighbour in."},
	{"layer", ground,
		"the contract between a room and the house knows no room",
		"Move what is shared into layer, or what is a room's into the room."},
	{"ground/web", []string{"ground/ledger", "ground/id", "ground/seal", "ground/store", "ground/law"},
		"the ground knows no room, and imports go down only",
		"Let the caller pass it in by an interface that %s declares."},
	{"ground/ledger", []string{"ground/id", "ground/seal", "ground/store", "ground/law"},
		"the ground knows no room, and imports go down only",
		"Let the caller pass it in by an interface that %s declares."},
	{"ground/*", bottom,
		"id, seal, store and law are the bottom of the house and stand apart from each other",
		"Let the caller pass it in as a value or by an interface that %s declares."},
	{"madeup", nil,
		"the generator of made-up people is pure, so that a seed always gives the same practice",
		"Let cmd carry what madeup returns to where it is needed."},
}

// guests are packages from outside that only some parts may import.
var guests = []struct {
	imports []string
	only    []string // the parts that may
	why     string
	mend    string
}{
	{[]string{"crypto/aes", "crypto/cipher", "crypto/hpke", "crypto/hkdf", "crypto/mlkem", "crypto/ecdh"},
		[]string{"ground/seal"},
		"keys and ciphertexts are made in one small package that can be reviewed as a whole",
		"Use ground/seal, or add what is missing there with golden vectors."},
	{[]string{"crypto/ecdsa"},
		[]string{"ground/seal", "rooms/identity/authenticator"}, // the second plays a person's own device in drills
		"keys and ciphertexts are made in one small package that can be reviewed as a whole",
		"Use ground/seal, or add what is missing there with golden vectors."},
	{[]string{"math/rand", "math/rand/v2"},
		[]string{"madeup"},
		"a number that somebody can guess must never get near a key, a code or an id",
		"Use crypto/rand, or take an io.Reader so that a test can bend it."},
	{[]string{"log"},
		[]string{"cmd", "agent", "madeup"},
		"a line printed past the logger cannot be kept free of patients' data",
		"Take a *slog.Logger, and log identifiers only."},
}

// acts are functions and types of other packages that some parts may not name.
var acts = []struct {
	from  string
	names []string
	in    []string // the parts that may not; nil means every part
	but   []string // except these
	why   string
	mend  string
}{
	{"os", []string{"CreateTemp", "MkdirTemp", "TempDir"}, []string{"rooms/*", "ground/web"}, nil,
		"nothing plain about a patient is ever spooled to disk",
		"Stream it, keep it in memory, or refuse with the fix."},
	{"io/ioutil", []string{"TempFile", "TempDir"}, []string{"rooms/*", "ground/web"}, nil,
		"nothing plain about a patient is ever spooled to disk",
		"Stream it, keep it in memory, or refuse with the fix."},
	{"html/template", []string{"HTML", "HTMLAttr", "JS", "JSStr", "CSS", "URL", "Srcset"}, nil, []string{"ground/web"},
		"text that skips escaping is how a patient's name becomes a script",
		"Put the markup into a template, or the part that needs it into ground/web."},
	{"fmt", []string{"Print", "Printf", "Println"}, []string{"rooms/*"}, nil,
		"a line printed past the logger cannot be kept free of patients' data",
		"Take a *slog.Logger, and log identifiers only; what a command prints, cmd prints."},
}

// fits says whether a package lies at or under a place of the drawing.
func fits(place, pkg string) bool {
	want, have := strings.Split(place, "/"), strings.Split(pkg, "/")
	if len(have) < len(want) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != have[i] {
			return false
		}
	}
	return true
}

func fitsAny(places []string, pkg string) bool {
	return slices.ContainsFunc(places, func(p string) bool { return fits(p, pkg) })
}

// home returns the part that a package belongs to, with its own name in place
// of the star.
func home(pkg string) (part, bool) {
	for _, p := range drawing {
		if fits(p.at, pkg) {
			depth := strings.Count(p.at, "/") + 1
			p.at = strings.Join(strings.Split(pkg, "/")[:depth], "/")
			return p, true
		}
	}
	return part{}, false
}

// inTests says whether a file is not shipped: a test, or a package made for
// tests (storetest). Tests may look sideways; they are not part of the house.
func inTests(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.HasSuffix(path.Base(path.Dir(file)), "test")
}

// brokenImport returns the sentence for one import that breaks a wall, or "".
func brokenImport(file, imports string) string {
	if inTests(file) {
		return ""
	}
	p, ok := home(path.Dir(file))
	if !ok {
		return fmt.Sprintf("%s stands outside the drawing. Move it into a part of the house, or draw the new part in arch_test.go and ARCHITECTURE.md.", file)
	}
	if below, ours := strings.CutPrefix(imports, module+"/"); ours {
		if fits(p.at, below) || fitsAny(p.may, below) {
			return ""
		}
		mend := p.mend
		if strings.Contains(mend, "%s") {
			mend = fmt.Sprintf(mend, p.at)
		}
		return fmt.Sprintf("%s imports %s, but %s. %s", file, below, p.why, mend)
	}
	for _, g := range guests {
		if slices.Contains(g.imports, imports) && !fitsAny(g.only, p.at) {
			return fmt.Sprintf("%s imports %s, which only %s may: %s. %s", file, imports, strings.Join(g.only, ", "), g.why, g.mend)
		}
	}
	return ""
}

// brokenAct returns the sentence for naming from.name in a file where it may
// not be named, or "".
func brokenAct(file, from, name string) string {
	if inTests(file) {
		return ""
	}
	dir := path.Dir(file)
	for _, a := range acts {
		inside := a.in == nil || fitsAny(a.in, dir)
		if a.from == from && slices.Contains(a.names, name) && inside && !fitsAny(a.but, dir) {
			return fmt.Sprintf("%s uses %s.%s, but %s. %s", file, path.Base(from), name, a.why, a.mend)
		}
	}
	return ""
}

// brokenWalls returns a sentence for every wall that one parsed file breaks.
func brokenWalls(file string, f *ast.File) []string {
	var broken []string
	say := func(sentence string) {
		if sentence != "" && !slices.Contains(broken, sentence) {
			broken = append(broken, sentence)
		}
	}
	named := map[string]string{} // the file's own name for a package -> its path
	for _, spec := range f.Imports {
		imports, _ := strconv.Unquote(spec.Path.Value) // the parser accepted it
		say(brokenImport(file, imports))
		name := path.Base(imports)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		named[name] = imports
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				say(brokenAct(file, named[x.Name], sel.Sel.Name))
			}
		}
		return true
	})
	return broken
}

// fewestPackages guards the guard: a walk that sees nothing finds nothing.
const fewestPackages = 8

func TestTheWallsOfTheHouseStand(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != "." && (strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "tools", "dist", "bin"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		file = filepath.ToSlash(file)
		if !strings.HasSuffix(name, ".go") || inTests(file) {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		seen[path.Dir(file)] = true
		for _, sentence := range brokenWalls(file, f) {
			t.Error(sentence)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < fewestPackages {
		t.Fatalf("saw %d packages, want at least %d: the walls were not looked at", len(seen), fewestPackages)
	}
}

func TestABrokenWallIsToldInASentence(t *testing.T) {
	for _, c := range []struct{ title, file, source, want string }{
		{"a room may stand on the ground", "rooms/chart/chart.go", `import ("quietroom/layer"; "quietroom/ground/web"; "quietroom/ground/id"; "time")`, ""},
		{"a room may import its own driver", "rooms/antivirus/engine.go", `import "quietroom/rooms/antivirus/clamav"`, ""},
		{"cmd may import everything", "cmd/quietroom/house.go", `import ("quietroom/rooms/vault"; "quietroom/rooms/backup/restic"; "quietroom/madeup"; "quietroom/ground/store/blobs"; "log")`, ""},
		{"the ledger may stand on seal and store", "ground/ledger/ledger.go", `import ("quietroom/ground/seal"; "quietroom/ground/store")`, ""},
		{"blobs belong to the store", "ground/store/blobs/disk.go", `import "quietroom/ground/store"`, ""},
		{"the agent may import the wire", "agent/agent.go", `import ("quietroom/rooms/devices/wire"; "quietroom/ground/ledger")`, ""},
		{"seal makes ciphertexts", "ground/seal/envelope.go", `import ("crypto/aes"; "crypto/cipher"; "crypto/hpke")`, ""},
		{"a test may look sideways", "rooms/chart/chart_test.go", `import ("quietroom/rooms/vault"; "math/rand/v2"; "os"); var _, _ = os.MkdirTemp`, ""},
		{"a package for tests may look sideways", "ground/store/storetest/suite.go", `import "math/rand/v2"`, ""},
		{"a driver may be told by its own name", "rooms/vault/vault.go", `import os "quietroom/rooms/vault/files"; var _ = os.CreateTemp`, ""},

		{"a room imports its neighbour", "rooms/chart/notes.go", `import "quietroom/rooms/vault"`,
			"rooms/chart/notes.go imports rooms/vault, but rooms do not know each other, so that each can be read alone and taken out. Declare the one method it needs as an interface in rooms/chart; cmd/quietroom/house.go hands the neighbour in."},
		{"a neighbour's driver is a neighbour too", "rooms/chart/notes.go", `import "quietroom/rooms/antivirus/clamav"`, "rooms/chart/notes.go imports rooms/antivirus/clamav, but rooms do not know"},
		{"a name that only begins alike is a neighbour", "rooms/mail/mail.go", `import "quietroom/rooms/mailgate"`, "imports rooms/mailgate, but"},
		{"the ground imports a room", "ground/web/frame.go", `import "quietroom/rooms/home"`, "ground/web/frame.go imports rooms/home, but the ground knows no room"},
		{"the ground imports the contract", "ground/ledger/ledger.go", `import "quietroom/layer"`, "ground/ledger/ledger.go imports layer, but the ground knows no room"},
		{"the ledger looks up", "ground/ledger/ledger.go", `import "quietroom/ground/web"`, "ground/ledger/ledger.go imports ground/web, but"},
		{"the bottom looks sideways", "ground/seal/seal.go", `import "quietroom/ground/store"`, "ground/seal/seal.go imports ground/store, but id, seal, store and law are the bottom"},
		{"the contract imports a room", "layer/layer.go", `import "quietroom/rooms/vault"`, "layer/layer.go imports rooms/vault, but the contract"},
		{"the agent imports a room", "agent/agent.go", `import "quietroom/rooms/devices"`, "agent/agent.go imports rooms/devices, but the agent runs on every computer"},
		{"the agent imports the store", "agent/agent.go", `import "quietroom/ground/store"`, "agent/agent.go imports ground/store, but the agent"},
		{"the wire carries the house along", "rooms/devices/wire/wire.go", `import "quietroom/layer"`, "rooms/devices/wire/wire.go imports layer, but the wire is carried by the agent"},
		{"a room uses made-up people", "rooms/vault/drill.go", `import "quietroom/madeup"`, "rooms/vault/drill.go imports madeup, but rooms"},
		{"made-up people know the house", "madeup/people.go", `import "quietroom/ground/store"`, "madeup/people.go imports ground/store, but the generator of made-up people is pure"},
		{"a room makes its own ciphertext", "rooms/vault/open.go", `import "crypto/cipher"`, "rooms/vault/open.go imports crypto/cipher, which only ground/seal may: keys and ciphertexts are made in one small package that can be reviewed as a whole. Use ground/seal, or add what is missing there with golden vectors."},
		{"a room signs by itself", "rooms/identity/roster.go", `import "crypto/ecdsa"`, "imports crypto/ecdsa, which only ground/seal, rooms/identity/authenticator may"},
		{"a guessable number", "ground/id/id.go", `import "math/rand/v2"`, "ground/id/id.go imports math/rand/v2, which only madeup may: a number that somebody can guess"},
		{"a plain file of a patient", "rooms/exchange/zip.go", `import "os"; func f() { os.CreateTemp("", "") }`,
			"rooms/exchange/zip.go uses os.CreateTemp, but nothing plain about a patient is ever spooled to disk. Stream it, keep it in memory, or refuse with the fix."},
		{"a plain folder under another name", "ground/web/upload.go", `import disk "os"; var make = disk.MkdirTemp`, "ground/web/upload.go uses os.MkdirTemp, but nothing plain"},
		{"markup that skips escaping", "rooms/home/home.go", `import "html/template"; var x = template.HTML("<b>")`, "rooms/home/home.go uses template.HTML, but text that skips escaping is how a patient's name becomes a script"},
		{"a room prints", "rooms/vault/vault.go", `import "fmt"; func f() { fmt.Println("x") }`, "rooms/vault/vault.go uses fmt.Println, but a line printed past the logger"},
		{"a room logs past the logger", "rooms/vault/vault.go", `import "log"; func f() { log.Print("x") }`, "rooms/vault/vault.go imports log, which only cmd, agent, madeup may: a line printed"},
		{"a package outside the drawing", "utils/strings.go", `import "strings"`, "utils/strings.go stands outside the drawing"},
	} {
		t.Run(c.title, func(t *testing.T) {
			f, err := parser.ParseFile(token.NewFileSet(), c.file, "package p; "+c.source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(brokenWalls(c.file, f), "\n")
			if c.want == "" && got != "" {
				t.Errorf("an open door is called a wall: %s", got)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want a sentence with %q", got, c.want)
			}
		})
	}
}
