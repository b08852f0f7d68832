package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What these files hold has to open for ever: a practice's records are sealed in
// the same way. -update writes them anew, which is right only when a new format
// version gets files of its own. Bytes are in hex, so that the browser's script
// is tested with the same files.
var update = flag.Bool("update", false, "write testdata anew")

// Hex is bytes as they stand in a golden file.
type Hex []byte

func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *Hex) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	*h = v
	return err
}
func (h Hex) key(t testing.TB) Key { t.Helper(); return must(KeyFrom(h)) }
func hashOf(b []byte) Hex          { s := sha256.Sum256(b); return s[:] }
func wantHex(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, and was %x when the file was written: what practices sealed would not open any more", what, got, want)
	}
}

// golden reads testdata/name.json, after writing it with -update if it is told how.
func golden[T any](t testing.TB, name string, write func() T) (v T) {
	t.Helper()
	file := filepath.Join("testdata", name+".json")
	if *update && write != nil {
		b := must(json.MarshalIndent(write(), "", "  "))
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// secret32 is a secret for a golden file: anybody may know it.
func secret32(name string) Hex { return hashOf([]byte("golden " + name)) }

type slotVector struct {
	Kind     string `json:"kind"`
	Practice string `json:"practice"`
	Holder   string `json:"holder"`
	Subject  string `json:"subject"`
	Part     string `json:"part"`
	Record   string `json:"record"`
	Version  uint64 `json:"version"`
	Chunk    uint64 `json:"chunk"`
	Last     bool   `json:"last"`
}

var goldenSlots = []Slot{
	{},
	{Kind: "record", Practice: "practice-1", Holder: "team-1.2", Subject: "patient-1", Part: "chart", Record: "record-1", Version: 3},
	{Kind: "file", Practice: "praxis-ü", Record: "文件", Version: 1<<53 - 1, Chunk: 7, Last: true},
}

func TestGoldenDerive(t *testing.T) {
	type vector struct {
		Secret     Hex      `json:"secret"`
		Label      string   `json:"label"`
		Parts      []string `json:"parts"`
		Key        Hex      `json:"key"`
		Commitment Hex      `json:"commitment"`
	}
	for _, v := range golden(t, "derive", func() (all []vector) {
		for _, parts := range [][]string{{}, {"ab", "c"}, {"a", "bc"}, {""}, {"", "ü 文"}} {
			s := secret32("derive")
			k := DeriveKey(s, "example v1", parts...)
			all = append(all, vector{s, "example v1", parts, k[:], k.Commitment()})
		}
		return all
	}) {
		k := DeriveKey(v.Secret, v.Label, v.Parts...)
		wantHex(t, "a derived key", k[:], v.Key)
		wantHex(t, "a commitment", k.Commitment(), v.Commitment)
	}
}

func TestGoldenBoxes(t *testing.T) {
	type vector struct {
		Key        Hex        `json:"key"`
		Slot       slotVector `json:"slot"`
		Associated Hex        `json:"associated"`
		Plain      Hex        `json:"plain"`
		Box        Hex        `json:"box"`
	}
	for _, v := range golden(t, "boxes", func() (all []vector) {
		for _, s := range goldenSlots {
			for _, plain := range []string{"", "a note"} {
				k := secret32("box")
				all = append(all, vector{k, slotVector(s), s.bind(), Hex(plain), k.key(t).Seal([]byte(plain), s)})
			}
		}
		return all
	}) {
		wantHex(t, "a slot", Slot(v.Slot).bind(), v.Associated)
		plain, err := v.Key.key(t).Open(v.Box, Slot(v.Slot))
		if err != nil {
			t.Errorf("a box that opened does not open any more: %v", err)
		}
		wantHex(t, "a box's content", plain, v.Plain)
	}
}

func TestGoldenPairs(t *testing.T) {
	type vector struct {
		Secret Hex        `json:"secret"`
		Public Hex        `json:"public_sha256"`
		Slot   slotVector `json:"slot"`
		Plain  Hex        `json:"plain"`
		Box    Hex        `json:"box"`
	}
	for _, v := range golden(t, "pairs", func() (all []vector) {
		for _, s := range goldenSlots {
			k := secret32("pair " + s.Kind)
			p := must(PairFrom(k.key(t)))
			all = append(all, vector{k, hashOf(p.Public()), slotVector(s), Hex("a key"), must(SealTo(p.Public(), []byte("a key"), s))})
		}
		return all
	}) {
		p := must(PairFrom(v.Secret.key(t)))
		wantHex(t, "a public key", hashOf(p.Public()), v.Public)
		plain, err := p.Open(v.Box, Slot(v.Slot))
		if err != nil {
			t.Errorf("a box that opened does not open any more: %v", err)
		}
		wantHex(t, "a box's content", plain, v.Plain)
	}
}

func TestGoldenPeople(t *testing.T) {
	type vector struct {
		Seed      Hex    `json:"seed"`
		Pair      Hex    `json:"pair_sha256"`
		Sign      Hex    `json:"sign"`
		Pin       Hex    `json:"pin_key"`
		Label     string `json:"label"`
		Message   Hex    `json:"message"`
		Signature Hex    `json:"signature"`
	}
	for _, v := range golden(t, "people", func() (all []vector) {
		for _, name := range []string{"ana", "jo"} {
			seed := secret32(name)
			s := Seed{seed.key(t)}
			u, pin := must(s.User()), s.Pin()
			sig := must(u.Sign("example v1", []byte("words")))
			all = append(all, vector{seed, hashOf(u.Pair.Public()), Hex(u.Signer.Public()), pin[:], "example v1", Hex("words"), sig})
		}
		return all
	}) {
		s := Seed{v.Seed.key(t)}
		u, pin := must(s.User()), s.Pin()
		wantHex(t, "a person's public key", hashOf(u.Pair.Public()), v.Pair)
		wantHex(t, "a signer's public key", u.Signer.Public(), v.Sign)
		wantHex(t, "a pin's key", pin[:], v.Pin)
		if !u.Signer.Public().Verify(v.Label, v.Message, v.Signature) {
			t.Error("a signature that was good is not good any more")
		}
	}
}

func TestGoldenDoors(t *testing.T) {
	type vector struct {
		Door     string `json:"door"` // passkey, code, recovery, team inbox
		Secret   Hex    `json:"secret"`
		Practice string `json:"practice"`
		Person   string `json:"person"`
		ID       string `json:"id"`
		Public   Hex    `json:"public_sha256"`
	}
	open := func(v vector) *Pair {
		switch v.Door {
		case "passkey":
			return must(DoorFromPRF(v.Secret, v.Practice, v.Person, v.ID))
		case "code":
			return must(DoorFromCode(v.Secret.key(t), v.Practice, v.Person, v.ID))
		case "recovery":
			return must(RecoveryFromCode(v.Secret.key(t), v.Practice))
		}
		return must(TeamInbox(v.Secret.key(t)))
	}
	for _, v := range golden(t, "doors", func() (all []vector) {
		for _, v := range []vector{{Door: "passkey", ID: "door-1"}, {Door: "code", ID: "door-2"}, {Door: "recovery"}, {Door: "team inbox"}} {
			v.Secret, v.Practice, v.Person = secret32(v.Door), "practice-1", "ana"
			v.Public = hashOf(open(v).Public())
			all = append(all, v)
		}
		return all
	}) {
		wantHex(t, "the public key of a door by "+v.Door, hashOf(open(v).Public()), v.Public)
	}
}

func TestGoldenCodes(t *testing.T) {
	type vector struct {
		Kind   CodeKind `json:"kind"`
		Text   string   `json:"text"`
		Secret Hex      `json:"secret"`
		Auth   Hex      `json:"auth"`
		KEK    Hex      `json:"kek"`
		Notes  Hex      `json:"notes"`
		Hash   Hex      `json:"auth_sha256"`
	}
	parts := func(c Code) vector {
		a, k, n := c.Auth(), c.KEK(), c.Notes()
		return vector{c.Kind, c.Text(), c.secret[:], a[:], k[:], n[:], AuthHash(a)}
	}
	for _, v := range golden(t, "codes", func() (all []vector) {
		for _, kind := range []CodeKind{Personal, Kit, Share} {
			all = append(all, parts(goldenCode(kind, "")))
		}
		return all
	}) {
		c, err := ParseCode(v.Kind, v.Text)
		if err != nil {
			t.Fatalf("a printed code is refused: %v", err)
		}
		got := parts(c)
		wantHex(t, "a code's secret", got.Secret, v.Secret)
		wantHex(t, "a code's auth part", got.Auth, v.Auth)
		wantHex(t, "a code's kek part", got.KEK, v.KEK)
		wantHex(t, "a code's notes part", got.Notes, v.Notes)
		wantHex(t, "a code's hash", got.Hash, v.Hash)
		if c.Text() != v.Text {
			t.Errorf("a code prints as %s, and was printed as %s", c.Text(), v.Text)
		}
	}
}

func goldenCode(kind CodeKind, name string) Code {
	c := Code{Kind: kind}
	copy(c.secret[:], secret32("code "+string(kind)+name))
	return c
}

func TestGoldenKit(t *testing.T) {
	type vector struct {
		Practice string    `json:"practice"`
		Shares   [3]string `json:"shares"`
		Boxes    [3]Hex    `json:"boxes"`
		KEK      Hex       `json:"kek"`
	}
	v := golden(t, "kit", func() vector {
		shares := [3]Code{goldenCode(Share, "0"), goldenCode(Share, "1"), goldenCode(Share, "2")}
		v := vector{Practice: "practice-1", KEK: secret32("kit")}
		for i, b := range SplitKit(v.KEK.key(t), shares, v.Practice) {
			v.Shares[i], v.Boxes[i] = shares[i].Text(), b
		}
		return v
	})
	boxes := [3][]byte{v.Boxes[0], v.Boxes[1], v.Boxes[2]}
	for _, two := range [][2]int{{0, 1}, {1, 2}, {2, 0}, {1, 0}, {2, 1}, {0, 2}} {
		a, b := must(ParseCode(Share, v.Shares[two[0]])), must(ParseCode(Share, v.Shares[two[1]]))
		kek, err := JoinKit(a, b, boxes, v.Practice)
		if err != nil {
			t.Errorf("shares %v do not open the kit any more: %v", two, err)
		}
		wantHex(t, "the kit's secret", kek[:], v.KEK)
	}
}

func TestGoldenStreams(t *testing.T) {
	type later struct { // the second chunk of a longer stream
		Chunk uint64 `json:"chunk"`
		Plain Hex    `json:"plain"`
		Box   Hex    `json:"box"`
	}
	type vector struct {
		Key    Hex        `json:"key"`
		Slot   slotVector `json:"slot"`
		Plain  Hex        `json:"plain"`
		Sealed Hex        `json:"sealed"`
		Later  *later     `json:"later,omitempty"` // under the same header
	}
	for _, v := range golden(t, "streams", func() (all []vector) {
		for _, plain := range []string{"", "a file"} {
			k := secret32("stream")
			var sealed bytes.Buffer
			w := must(k.key(t).SealStream(&sealed, goldenSlots[1]))
			io.WriteString(w, plain)
			w.Close()
			s := goldenSlots[1]
			s.Chunk, s.Last = 1, true
			box := k.key(t).streamKey(sealed.Bytes()[:headerSize]).Seal([]byte("its end"), s)
			all = append(all, vector{k, slotVector(goldenSlots[1]), Hex(plain), sealed.Bytes(), &later{1, Hex("its end"), box}})
		}
		return all
	}) {
		plain, err := io.ReadAll(v.Key.key(t).OpenStream(bytes.NewReader(v.Sealed), Slot(v.Slot)))
		if err != nil {
			t.Errorf("a stream that opened does not open any more: %v", err)
		}
		wantHex(t, "a stream's content", plain, v.Plain)
		s := Slot(v.Slot)
		s.Chunk, s.Last = v.Later.Chunk, true
		plain, err = v.Key.key(t).streamKey(v.Sealed[:headerSize]).Open(v.Later.Box, s)
		if err != nil {
			t.Errorf("a later chunk that opened does not open any more: %v", err)
		}
		wantHex(t, "a later chunk", plain, v.Later.Plain)
	}
}

func TestGoldenCeremony(t *testing.T) {
	type vector struct {
		ServerPrivate Hex    `json:"server_private"`
		ServerPublic  Hex    `json:"server_public"`
		Name          string `json:"name"`
		Key           Hex    `json:"key"` // what both sides derive
		Plain         Hex    `json:"plain"`
		Box           Hex    `json:"box"`
	}
	derived := func(v vector) Hex {
		c := must(CeremonyFrom(v.ServerPrivate))
		theirs := must(c.private.Curve().NewPublicKey(v.Box[:65]))
		k := must(agree(c.private, theirs, v.ServerPublic, v.Box[:65], v.Name))
		return k[:]
	}
	v := golden(t, "ceremony", func() vector {
		c := must(NewCeremony())
		v := vector{ServerPrivate: c.Bytes(), ServerPublic: c.Public(), Name: "sign-in 1", Plain: secret32("prf")}
		v.Box = must(SealToCeremony(v.ServerPublic, v.Name, v.Plain))
		v.Key = derived(v)
		return v
	})
	c := must(CeremonyFrom(v.ServerPrivate))
	wantHex(t, "a ceremony's public key", c.Public(), v.ServerPublic)
	wantHex(t, "a ceremony's derived key", derived(v), v.Key)
	plain, err := c.Open(v.Name, v.Box)
	if err != nil {
		t.Errorf("a ceremony's message does not open any more: %v", err)
	}
	wantHex(t, "a ceremony's message", plain, v.Plain)
}

func TestGoldenRoster(t *testing.T) {
	type entry struct {
		Body      string `json:"body"`
		Signature Hex    `json:"signature"`
	}
	type vector struct {
		Root    Hex     `json:"root"`
		Head    Hex     `json:"head"`
		TeamKey Hex     `json:"team_key"`
		Entries []entry `json:"entries"`
	}
	v := golden(t, "roster", func() vector {
		ana, jo := must(Seed{secret32("ana").key(t)}.User()), must(Seed{secret32("jo").key(t)}.User())
		door := must(DoorFromPRF(secret32("passkey"), "practice-1", "ana", "door-1")).Public()
		r, first, err := Begin("ana", ana, Entry{Practice: "practice-1", Name: "Ana Reyes", At: 1, Doors: map[string]Door{"door-1": {"passkey", door}}})
		if err != nil {
			t.Fatal(err)
		}
		chain, keys, key := []Signed{first}, jo.Keys(), secret32("team").key(t)
		for _, e := range []Entry{
			{At: 2, Act: Join, Person: "jo", Name: "Jo <Park> & ü", Keys: &keys, Roles: []string{"<clinician> & ü"}},
			{At: 3, Act: Form, Team: "team-1", Name: "Jo and Ana", Kind: "care", Members: []string{"jo", "ana"}, Epoch: 1, Commitment: key.Commitment(), Public: must(TeamInbox(key)).Public()},
			{At: 4, Act: Name, Name: "recovery", Public: door},
			{At: 5, Act: Assign, Person: "jo", Roles: []string{"clinician", "supervisor"}},
			{At: 6, Act: Doors, Person: "jo", Doors: map[string]Door{"door-2": {"code", door}}},
			{At: 7, Act: Rekey, Person: "jo", Keys: &keys},
			{At: 8, Act: Leave, Person: "jo"},
		} {
			chain = append(chain, must(r.Sign("ana", ana.Signer, e)))
		}
		v := vector{Root: r.Root, Head: r.head(), TeamKey: key[:]}
		for _, s := range chain {
			v.Entries = append(v.Entries, entry{string(s.Body), s.Signature})
		}
		return v
	})
	var chain []Signed
	for _, e := range v.Entries {
		chain = append(chain, Signed{[]byte(e.Body), e.Signature})
	}
	r, err := ReadRoster(chain, v.Root)
	if err != nil {
		t.Fatalf("a roster that was good is refused: %v", err)
	}
	wantHex(t, "the roster's head", r.head(), v.Head)
	if err := r.CheckTeamKey("team-1", 1, v.TeamKey.key(t)); err != nil {
		t.Error(err)
	}
	if jo, _ := r.Person("jo"); !jo.Gone || !r.Stale("team-1") {
		t.Error("the roster reads otherwise than it did: jo has left, and holds the team's key")
	}
	ana, _ := r.Person("ana")
	jo, _ := r.Person("jo")
	team, _ := r.Team("team-1")
	if ana.Name != "Ana Reyes" || jo.Name != "Jo <Park> & ü" || team.Name != "Jo and Ana" {
		t.Errorf("the roster's names read otherwise than they did: %q, %q, %q", ana.Name, jo.Name, team.Name)
	}
}

// A plan and its carrying out: what an owner signed ahead of its hour is read as
// it was.
func TestGoldenPlan(t *testing.T) {
	type entry struct {
		Body      string `json:"body"`
		Signature Hex    `json:"signature"`
	}
	type vector struct {
		Root    Hex     `json:"root"`
		Head    Hex     `json:"head"`
		TeamKey Hex     `json:"team_key"` // the planned one
		Entries []entry `json:"entries"`
	}
	v := golden(t, "plan", func() vector {
		ana, jo := must(Seed{secret32("ana").key(t)}.User()), must(Seed{secret32("jo").key(t)}.User())
		r, first, err := Begin("ana", ana, Entry{Practice: "practice-1", Name: "Ana Reyes", At: 1})
		if err != nil {
			t.Fatal(err)
		}
		chain, keys, key, next := []Signed{first}, jo.Keys(), secret32("team").key(t), secret32("next team").key(t)
		planned := []PlannedTeam{{Team: "team-1", Members: []string{"ana"}, Epoch: 2, Commitment: next.Commitment(), Public: must(TeamInbox(next)).Public()}}
		for _, e := range []Entry{
			{At: 2, Act: Join, Person: "jo", Name: "Jo Park", Keys: &keys, Roles: []string{"clinician"}},
			{At: 3, Act: Form, Team: "team-1", Name: "Jo and Ana", Kind: "care", Members: []string{"jo", "ana"}, Epoch: 1, Commitment: key.Commitment(), Public: must(TeamInbox(key)).Public()},
			{At: 4, Act: Foresee, Person: "jo", After: 1764090000000, Teams: planned},
			{At: 5, Act: Withdraw, Plan: 4},
			{At: 6, Act: Foresee, Person: "jo", After: 1764093600000, Teams: planned},
		} {
			chain = append(chain, must(r.Sign("ana", ana.Signer, e)))
		}
		chain = append(chain, must(r.CarryOut(6)))
		v := vector{Root: r.Root, Head: r.head(), TeamKey: next[:]}
		for _, s := range chain {
			v.Entries = append(v.Entries, entry{string(s.Body), s.Signature})
		}
		return v
	})
	var chain []Signed
	for _, e := range v.Entries {
		chain = append(chain, Signed{[]byte(e.Body), e.Signature})
	}
	r, err := ReadRoster(chain, v.Root)
	if err != nil {
		t.Fatalf("a plan that was good is refused: %v", err)
	}
	wantHex(t, "the roster's head", r.head(), v.Head)
	if err := r.CheckTeamKey("team-1", 2, v.TeamKey.key(t)); err != nil {
		t.Error(err)
	}
	if jo, _ := r.Person("jo"); !jo.Gone || r.Stale("team-1") {
		t.Error("the plan was carried out, and jo is here or holds the team's newest key")
	}
	if again := must(r.Clone().Sign("ana", must(Seed{secret32("ana").key(t)}.User()).Signer, Entry{At: 7, Act: Assign, Person: "ana", Roles: []string{Owner}})); again.Body == nil {
		t.Error("the chain does not go on after a plan")
	}
	if want := `,"at":0,"by":"","act":"due","plan":6}`; !strings.HasSuffix(v.Entries[6].Body, want) || len(v.Entries[6].Signature) != 0 {
		t.Errorf("a plan is carried out by %s", v.Entries[6].Body)
	}
}
