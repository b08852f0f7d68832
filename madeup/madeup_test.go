package madeup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var monday = time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)

func TestSameSeedSamePractice(t *testing.T) {
	const want = "470fb71cac8d9e5a34a29592dbe69b6e69cd6a5d1fd5d46cc7670bc86ed014e4"
	sum := sha256.New()
	p := New(1, 700, monday)
	enc := json.NewEncoder(sum)
	if err := enc.Encode(p); err != nil {
		t.Fatal(err)
	}
	for a := range p.Patients() {
		if err := enc.Encode(a); err != nil {
			t.Fatal(err)
		}
		sum.Write(p.Bundle(a.Index))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("practice of seed 1 has the hash %s, want %s: a changed word list or order of throws changes every demo", got, want)
	}
}

func TestAPatientDoesNotDependOnWhoWasAskedForBefore(t *testing.T) {
	p, q := New(7, 300, monday), New(7, 300, monday)
	q.Patient(12)
	if a, b := mustJSON(t, p.Patient(200)), mustJSON(t, q.Patient(200)); a != b {
		t.Errorf("patient 200 differs:\n%s\n%s", a, b)
	}
	if mustJSON(t, New(8, 300, monday).Patient(200)) == mustJSON(t, p.Patient(200)) {
		t.Error("another seed gives the same patient")
	}
}

func TestTheHourDoesNotMatterOnlyTheDay(t *testing.T) {
	a, b := New(1, 50, monday), New(1, 50, monday.Add(5*time.Hour))
	if mustJSON(t, a.Patient(3)) != mustJSON(t, b.Patient(3)) {
		t.Error("the same day gives another patient")
	}
}

func TestCanariesAreUniqueAndWhereTheySayTheyAre(t *testing.T) {
	met := map[string]bool{}
	canary := func(c, in string) {
		if len(c) != 26 || met[c] {
			t.Fatalf("canary %q is short or was met before", c)
		}
		met[c] = true
		if strings.Count(in, c) != 1 {
			t.Fatalf("canary %s stands %d times in its paper", c, strings.Count(in, c))
		}
	}
	for _, seed := range []uint64{1, 2} {
		for a := range New(seed, 33_000, monday).Patients() {
			for _, n := range a.Notes {
				canary(n.Canary, n.Text)
			}
			for _, f := range a.Files {
				canary(f.Canary, string(f.Bytes))
			}
		}
	}
}

func TestNumbersOfAVastaamo(t *testing.T) {
	var papers, files, withFile, minors, preferred, neither int
	kinds := map[string]int{}
	for a := range New(1, 33_000, monday).Patients() {
		papers += len(a.Notes) + len(a.Files)
		files += len(a.Files)
		withFile += min(1, len(a.Files))
		if a.Preferred != "" {
			preferred++
		}
		if a.Pronouns == "they/them" {
			neither++
		}
		if a.BirthDate.AddDate(18, 0, 0).After(monday) {
			minors++
		}
		for _, n := range a.Notes {
			kinds[n.Kind]++
		}
	}
	within(t, "notes and files", papers, 62_000, 64_000)
	within(t, "files", files, 3_300, 4_600)
	within(t, "patients with a file", withFile, 3_000, 3_600)
	within(t, "minors", minors, 1_700, 2_300)
	within(t, "preferred names", preferred, 5_000, 9_000)
	within(t, "they/them", neither, 1_500, 2_500)
	within(t, "intakes", kinds["Intake"], 29_000, 30_500)
	within(t, "progress notes", kinds["Progress note"], 24_000, 30_000)
	within(t, "safety plans", kinds["Safety plan"], 2_000, 3_500)
}

func TestEachClinicianSeesAboutEightPeopleAWeekday(t *testing.T) {
	for _, n := range []int{315, 3000} {
		p := New(1, n, monday)
		days := map[string]map[time.Time]int{}
		booked := map[string]bool{}
		for a := range p.Patients() {
			for _, s := range a.Sessions {
				slot := a.Clinician + s.String()
				if booked[slot] {
					t.Fatalf("%s sees two people at %s", a.Clinician, s)
				}
				booked[slot] = true
				if wd := s.Weekday(); wd == time.Saturday || wd == time.Sunday {
					t.Fatalf("session on %s", s)
				}
				if days[a.Clinician] == nil {
					days[a.Clinician] = map[time.Time]int{}
				}
				days[a.Clinician][s.Truncate(24*time.Hour)]++
			}
		}
		if len(days) != 7 {
			t.Fatalf("%d clinicians have sessions, want 7", len(days))
		}
		for who, per := range days {
			sum := 0
			for _, k := range per {
				sum += k
			}
			if mean := float64(sum) / 20; mean < 7 || mean > 9 {
				t.Errorf("%d patients: %s sees %.1f people a weekday", n, who, mean)
			}
		}
	}
}

func TestTheCalendarHoldsTogether(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		newYork = time.FixedZone("EST", -5*3600)
	}
	for _, now := range []time.Time{monday, monday.AddDate(0, 0, 5), monday.AddDate(0, 0, 6), time.Date(2026, 11, 2, 1, 0, 0, 0, newYork)} {
		p := New(3, 2000, now)
		for a := range p.Patients() {
			last := a.Since
			for _, n := range a.Notes {
				if n.At.Before(last) || !n.At.Before(p.Today) {
					t.Fatalf("patient %d: note at %s after one at %s, today %s", a.Index, n.At, last, p.Today)
				}
				last = n.At
			}
			if a.Since.Before(a.BirthDate.AddDate(10, 0, 0)) {
				t.Fatalf("patient %d, born %s, came at %s", a.Index, a.BirthDate, a.Since)
			}
			for _, s := range a.Sessions {
				if s.Hour() < 8 || s.Hour() > 17 || s.Sub(p.Today).Abs() > 29*24*time.Hour {
					t.Fatalf("session at %s, today %s", s, p.Today)
				}
			}
			if next, ok := a.NextSession(p.Today); ok && next.Before(p.Today) {
				t.Fatalf("next session %s was before today", next)
			}
		}
	}
}

func TestNotesReadAsNotes(t *testing.T) {
	odd := regexp.MustCompile(`[{}]|  |\.\.|%!|of [a-z]+ of`)
	texts := map[string]bool{}
	for a := range New(1, 3000, monday).Patients() {
		for _, n := range a.Notes {
			if words := len(strings.Fields(n.Text)); words < 60 || words > 250 {
				t.Errorf("%s of patient %d has %d words", n.Kind, a.Index, words)
			}
			if m := odd.FindString(n.Text); m != "" {
				t.Fatalf("patient %d: %q in: %s", a.Index, m, n.Text)
			}
			if !strings.Contains(n.telling, a.Called()) || !strings.Contains(n.Text, n.telling) {
				t.Fatalf("patient %d: %q does not name %q, or is not in the note", a.Index, n.telling, a.Called())
			}
			texts[strings.Replace(n.Text, n.Canary, "", 1)] = true
		}
	}
	within(t, "different texts", len(texts), 5_000, 6_000)
}

// The theft drill looks for these on a disk that holds the program as well.
func TestNoSecretStandsInTheProgram(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) < 5 {
		t.Fatalf("sources: %v, %v", sources, err)
	}
	var all strings.Builder
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	words := all.String()
	kept := 0
	for a := range New(1, 2000, monday).Patients() {
		for s := range Secrets(a) {
			kept++
			if len(s) < 8 || strings.Contains(words, s) {
				t.Errorf("secret %q of patient %d is short or stands in the source", s, a.Index)
			}
		}
	}
	within(t, "secrets of 2,000 patients", kept, 18_000, 30_000)
}

func TestSecretsStandInTheirPatient(t *testing.T) {
	for a := range New(5, 300, monday).Patients() {
		got := slices.Collect(Secrets(a))
		for _, want := range append(slices.Clone(a.Phones), a.Address.Line, a.Insurance.Member) {
			if !slices.Contains(got, want) {
				t.Errorf("%q of patient %d is not kept secret", want, a.Index)
			}
		}
		for _, n := range a.Notes {
			if !slices.Contains(got, n.Canary) {
				t.Errorf("canary %s is not kept secret", n.Canary)
			}
		}
	}
}

func TestPatientsAndColleaguesShareNoFamily(t *testing.T) {
	for _, who := range people {
		last := who.Name[strings.LastIndex(who.Name, " ")+1:]
		for _, f := range families {
			if f == last {
				t.Errorf("%s shares a family with patients", who.Name)
			}
		}
	}
}

func TestTwelvePeopleOfAllRoles(t *testing.T) {
	p := New(1, 1, monday)
	if len(p.People) != 12 {
		t.Fatalf("%d people", len(p.People))
	}
	roles := map[string]int{}
	for _, who := range p.People {
		for _, r := range who.Roles {
			roles[r]++
		}
		if base, _, _ := strings.Cut(who.Handle, "-"); who.Mail == "" || base == "" {
			t.Errorf("%+v", who)
		}
	}
	for role, want := range map[string]int{"owner": 1, "clinician": 7, "supervisor": 2, "front-desk": 2, "billing": 2} {
		if roles[role] != want {
			t.Errorf("%d people have the role %s, want %d", roles[role], role, want)
		}
	}
	if !slices.Equal(p.People[0].Roles, []string{"owner", "clinician", "supervisor"}) {
		t.Errorf("owner-1 is %v", p.People[0].Roles)
	}
}

func TestNobodyIsAPublicPerson(t *testing.T) {
	known := strings.Split(publicPeople, ",")
	var names []string
	for _, list := range [][]given{women, men} {
		for _, g := range list {
			names = append(names, g.name, g.called)
		}
	}
	for _, line := range known {
		first, last, ok := strings.Cut(strings.TrimSpace(plain(line)), " ")
		if !ok {
			continue
		}
		hasFirst := slices.ContainsFunc(names, func(n string) bool { return plain(n) == first })
		hasLast := slices.ContainsFunc(families, func(f string) bool { return plain(f) == last })
		if hasFirst && hasLast {
			t.Errorf("a patient may be called %s", line)
		}
	}
}

// publicPeople are known by names like those in our lists, and one or two by
// books only.
const publicPeople = `
Emilio Aguinaldo, Ralph Abernathy, Rafael Benavides, Katherine Johnson, Omar Sharif, Jamal Murray,
Kareem Hunt, Chris Kirkpatrick, Jeane Kirkpatrick, Cab Calloway, Carlos Castaneda, Charles Steinmetz,
Florence Nightingale, Eduardo Saverin, Danny Villanueva, Selena Quintanilla, Gloria Macapagal, Diosdado Macapagal,
Nathaniel Hawthorne, Sandra Cisneros, Henry Cisneros, Mary Somerville, Ruth Negga, Hannah Arendt,
Kofi Annan, Kwame Nkrumah, Rebecca Lobo, Veronica Lake, Penelope Cruz, Donna Strickland,
Kit Carson, Rosalind Franklin, Harriet Tubman, Billie Holiday, Josephine Baker, Solomon Northup,
Sol Campbell, Rory McIlroy, Rafa Nadal, Nadia Comaneci, Camille Paglia, Camille Claudel,
Vikram Seth, Luis Gutierrez, Sebastian Gutierrez, Anthony Munoz, Rafael Orozco, Keith Waterhouse,
Dennis Oppenheim, Bernie Sanders, Desmond Tutu, Mike Dunleavy, Steph Curry, Grigory Sokolov,
Svetlana Kuznetsova, Tariq Nasheed, Amadou Diallo, June Lockhart, Mal Whitfield, Norman Whitfield,
Stanley Holloway, Sterling Holloway, Dave Bautista, Jose Bautista, Daisaku Ikeda, Hiroshi Yamashita,
Rumiko Takahashi, Hoagy Carmichael, Stokely Carmichael, Troy Donahue, Phil Donahue, Janusz Kaminski,
Erik Karlsson, Algernon Blackwood, Luca Giordano, Paloma Picasso, Octavia Spencer, Octavia Butler,
Gabriela Mistral, Gwendolyn Brooks, Sebastian Vettel, Ignacio Allende, Bea Arthur, Esteban Ocon,
Terrence Howard, Val Kilmer, Jackie Robinson, Zoe Saldana, Siddhartha Mukherjee, Rani Mukherjee,
Salvatore Ferragamo, Isaiah Thomas, Imani Perry, Priya Krishna, Johanna Konta, Nadia Murad,
Max Born, Sven Lindqvist, Gunilla Bergstrom, Keith Thibodeaux, Sri Srinivasan, Christine Cavanaugh,
Santiago Calatrava, Daniela Ruah, Ingrid Bergman, Frederick Douglass, Jonathan Swift, Francisco Goya,
Rafael Correa, Omar Khayyam, Ibrahim Rugova, Eli Whitney, Nathan Hale, Sigrid Undset,
Leo Tolstoy, Leopold Bloom, Percy Shelley, Max Planck, Octavio Paz, Kofi Kingston,
Cal Ripken, Deborah Kerr, Jo Rowling, Lorenzo Lamas, Ramon Llull, Jasmine Guy,
Magdalena Abakanowicz, Sam Cooke, Catherine Cookson, Katherine Paterson, Christoph Waltz, Tobias Wolff,
Rebecca Solnit, Miriam Makeba, Malachi Martin, Josephine Tey, Hattie McDaniel, Jed Bartlet,
Bart Simpson, Jem Finch, Jeremiah Wright, Sasha Obama, Gus Fring, Enzo Ferrari,
Jon Stewart, Toby Jones, Terry Pratchett, Cliff Richard, Al Pacino, Sal Paradise,
Ada Lovelace, Bridget Riley, Harriet Stowe, Penny Marshall, Becca Fitzpatrick, Roz Chast`

func TestBundlesAreFHIR(t *testing.T) {
	p := New(1, 200, monday)
	ids := map[string]bool{}
	for i := range p.Len() {
		var b struct {
			ResourceType, Type string
			Entry              []struct {
				FullURL  string
				Request  struct{ Method, URL string }
				Resource struct {
					ResourceType, ID, Gender, BirthDate, Status string
					Subject                                     struct{ Reference string }
				}
			}
		}
		if err := json.Unmarshal(p.Bundle(i), &b); err != nil {
			t.Fatal(err)
		}
		a := p.Patient(i)
		if b.ResourceType != "Bundle" || b.Type != "transaction" || len(b.Entry) != 1+len(a.Diagnoses)+len(a.Notes) {
			t.Fatalf("bundle %d: %s %s with %d entries", i, b.ResourceType, b.Type, len(b.Entry))
		}
		for k, e := range b.Entry {
			r := e.Resource
			if ids[r.ID] || e.FullURL != "urn:uuid:"+r.ID || e.Request.URL != r.ResourceType || e.Request.Method != "POST" {
				t.Fatalf("bundle %d entry %d: %+v", i, k, e)
			}
			ids[r.ID] = true
			if k == 0 && (r.ResourceType != "Patient" || r.BirthDate != a.BirthDate.Format(time.DateOnly)) {
				t.Fatalf("bundle %d begins with %+v", i, r)
			}
			if k > 0 && r.Subject.Reference != b.Entry[0].FullURL {
				t.Fatalf("bundle %d entry %d is about %q", i, k, r.Subject.Reference)
			}
		}
	}
}

func TestPDFsPointToTheirObjects(t *testing.T) {
	pdfs := 0
	for a := range New(1, 500, monday).Patients() {
		for _, f := range a.Files {
			if f.Type != "application/pdf" {
				continue
			}
			pdfs++
			text := string(f.Bytes)
			table := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindStringSubmatch(text)
			if at, _ := strconv.Atoi(table[1]); !strings.HasPrefix(text[at:], "xref\n0 6\n") {
				t.Fatalf("%q is not the table of references", text[at:])
			}
			for n, m := range regexp.MustCompile(`(\d{10}) 00000 n `).FindAllStringSubmatch(text, -1) {
				if at, _ := strconv.Atoi(m[1]); !strings.HasPrefix(text[at:], strconv.Itoa(n+1)+" 0 obj\n") {
					t.Fatalf("object %d is not at %d", n+1, at)
				}
			}
			for i := range len(text) {
				if text[i] >= 0x80 {
					t.Fatalf("byte %#x in a PDF of ASCII", text[i])
				}
			}
		}
	}
	within(t, "PDFs of 500 patients", pdfs, 15, 70)
}

func TestNamesFoldToASCII(t *testing.T) {
	for _, list := range [][]given{women, men} {
		for _, g := range list {
			asciiOnly(t, plain(g.name+g.called))
		}
	}
	for _, f := range families {
		asciiOnly(t, plain(f))
	}
	for _, who := range people {
		asciiOnly(t, plain(who.Name))
	}
}

func BenchmarkPatient(b *testing.B) {
	p := New(1, 33_000, monday)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.Patient(i % p.Len())
		i++
	}
}

func BenchmarkBundle(b *testing.B) {
	p := New(1, 33_000, monday)
	for b.Loop() {
		b.SetBytes(int64(len(p.Bundle(11))))
	}
}

func asciiOnly(t *testing.T, s string) {
	t.Helper()
	for i := range len(s) {
		if s[i] >= 0x80 {
			t.Errorf("%q is not ASCII", s)
			return
		}
	}
}

func within(t *testing.T, what string, got, low, high int) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %d, want %d to %d", what, got, low, high)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
