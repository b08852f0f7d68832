package backup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/backup/restic"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestWhatIsKeptIsReadInWords(t *testing.T) {
	rules, err := ParseKeep(usualKeep)
	want := []Rule{{time.Hour, 2 * day}, {day, 35 * day}, {30 * day, 7 * 365 * day}}
	if err != nil || !slices.Equal(rules, want) {
		t.Fatalf("got %v, %v", rules, err)
	}
	for _, words := range []string{"", "forever", "every day", "every second for two days", "every day for minus two days", "every day for zero days", "every day for 9999 years"} {
		if _, err := ParseKeep(words); err == nil {
			t.Errorf("%q was read as a rule", words)
		}
	}
}

func TestRulesThinOutWhatIsOld(t *testing.T) {
	var list []kept
	for i := range 96 * 60 { // a quarter of an hour apart, 60 days
		list = append(list, kept{fmt.Sprint(i), noon.Add(-time.Duration(i) * 15 * time.Minute)})
	}
	rules, _ := ParseKeep(usualKeep)
	left := len(list) - len(toForget(list, rules))
	if left < 48+33+2 || left > 48+37+4+alwaysKept {
		t.Fatalf("%d states are kept of %d", left, len(list))
	}
}

// TestNoRuleTakesTheNewest holds for all lists and all rules.
func TestNoRuleTakesTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []kept
		for i, minutes := range rapid.SliceOfN(rapid.IntRange(0, 5_000_000), 0, 60).Draw(t, "ages") {
			list = append(list, kept{fmt.Sprint(i), noon.Add(-time.Duration(minutes) * time.Minute)})
		}
		rule := Rule{time.Duration(rapid.IntRange(1, 1000).Draw(t, "every")) * time.Hour, time.Duration(rapid.IntRange(1, 1000).Draw(t, "for")) * time.Hour}
		gone := toForget(list, []Rule{rule})
		if len(list)-len(gone) < min(len(list), alwaysKept) {
			t.Fatalf("%d of %d are gone", len(gone), len(list))
		}
		slices.SortFunc(list, func(a, b kept) int { return b.at.Compare(a.at) })
		for _, k := range list[:min(len(list), 1)] {
			if slices.Contains(gone, k.id) {
				t.Fatal("the newest is gone")
			}
		}
	})
}

// copiesOf are daily verified copies of keys at places, over a number of days.
func copiesOf(days int, verified bool, places ...string) (list []keyCopy) {
	for d := range days {
		for _, p := range places {
			k := keyCopy{target: p, snapshot: fmt.Sprint(p, d), at: noon.Add(-time.Duration(d) * day)}
			if verified {
				k.verified = k.at.Add(time.Minute)
			}
			list = append(list, k)
		}
	}
	return list
}

func TestACopyOfKeysExpiresOnlyWhereItIsSafe(t *testing.T) {
	long := noon.Add(-100 * day)
	oldest := func(forget []keyCopy) bool {
		return slices.ContainsFunc(forget, func(k keyCopy) bool { return noon.Sub(k.at) > keyAge })
	}
	for name, c := range map[string]struct {
		copies   []keyCopy
		since    time.Time
		incident bool
		want     bool
	}{
		"two places, each with newer ones":   {copiesOf(40, true, "a", "b"), long, false, true},
		"one place alone":                    {copiesOf(40, true, "a"), long, false, false},
		"nothing was read back":              {copiesOf(40, false, "a", "b"), long, false, false},
		"during an incident":                 {copiesOf(40, true, "a", "b"), long, true, false},
		"three days after the clock jumped":  {copiesOf(40, true, "a", "b"), noon.Add(-3 * day), false, false},
		"eight days after the clock jumped":  {copiesOf(40, true, "a", "b"), noon.Add(-8 * day), false, true},
		"the second place has six newer":     {append(copiesOf(40, true, "a"), copiesOf(6, true, "b")...), long, false, false},
		"the second place was read back not": {append(copiesOf(40, true, "a"), copiesOf(40, false, "b")...), long, false, false},
	} {
		if got := oldest(keysToForget(c.copies, noon, c.since, c.incident)); got != c.want {
			t.Errorf("%s: an old copy goes: %v, want %v", name, got, c.want)
		}
	}
	for _, k := range keysToForget(copiesOf(40, true, "a", "b"), noon, long, false) {
		if noon.Sub(k.at) <= keyAge {
			t.Errorf("a copy of %s ago goes too", noon.Sub(k.at))
		}
	}
}

// TestSevenVerifiedCopiesAlwaysStay holds whatever lies where, and whatever the
// clock shows.
func TestSevenVerifiedCopiesAlwaysStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var copies []keyCopy
		for i, h := range rapid.SliceOfN(rapid.IntRange(-500, 3000), 0, 80).Draw(t, "hours") {
			k := keyCopy{target: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "place"), snapshot: fmt.Sprint(i), at: noon.Add(-time.Duration(h) * time.Hour)}
			if rapid.Bool().Draw(t, "verified") {
				k.verified = k.at.Add(time.Hour)
			}
			copies = append(copies, k)
		}
		now := noon.Add(time.Duration(rapid.IntRange(-5000, 100_000).Draw(t, "clock")) * time.Hour)
		since := now.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(t, "since")) * time.Hour)
		forget := keysToForget(copies, now, since, false)
		if len(forget) == 0 {
			return
		}
		left := map[string]int{}
		for _, k := range copies {
			if !k.verified.IsZero() && !slices.Contains(forget, k) {
				left[k.target]++
			}
		}
		places := 0
		for _, n := range left {
			if n >= newerKeys {
				places++
			}
		}
		if places < keyPlaces {
			t.Fatalf("%d copies go, and %v verified ones are left", len(forget), left)
		}
	})
}

func TestAClockThatJumpsIsNoticed(t *testing.T) {
	for _, c := range []struct {
		by   time.Duration
		want bool
	}{{time.Minute, false}, {day, false}, {3 * day, true}, {3650 * day, true}, {-time.Minute, false}, {-time.Hour, true}} {
		if clockJumped(noon, noon.Add(c.by)) != c.want {
			t.Errorf("a step of %s: jumped %v, want %v", c.by, !c.want, c.want)
		}
	}
	if clockJumped(time.Time{}, noon) {
		t.Error("the first look is no jump")
	}
}

func TestTheListOfTheErasedCannotBeForged(t *testing.T) {
	secret, practice := seal.NewKey(), id.New[id.Record]()
	list := []id.Patient{id.New[id.Patient](), id.New[id.Patient]()}
	text := Tombstones(secret, string(practice), list)
	got, err := ReadTombstones(secret, string(practice), text)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if got, err := ReadTombstones(secret, string(practice), Tombstones(secret, string(practice), nil)); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	for i := range text {
		odd := slices.Clone(text)
		odd[i] ^= 1
		if _, err := ReadTombstones(secret, string(practice), odd); err == nil {
			t.Fatalf("byte %d was changed, and nobody noticed", i)
		}
	}
	if _, err := ReadTombstones(seal.NewKey(), string(practice), text); err == nil {
		t.Fatal("another house's list was taken")
	}
}

func TestASheetComesBackFromPaper(t *testing.T) {
	s := Sheet{Practice: "P", Root: make([]byte, 32), Password: PasswordOf(seal.NewKey()), Targets: []Target{
		{Name: "USB disk, 2nd", Kind: Folder, Place: "/mnt/usb disk/x"}, {Name: "s", Kind: SFTP, Place: "backup.example.org:2222/srv/x", User: "me"},
		{Name: "b", Kind: S3, Place: "https://s3.example.org/bucket/x", User: "key", Secret: "se/cr+et", Region: "eu-1"}, {Name: "r", Kind: REST, Place: "http://localhost:8000/x", User: "u", Secret: "p"}}}
	got, err := ParseSheet(s.Text())
	if err != nil || got.Password != s.Password || len(got.Targets) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, w := range s.Targets {
		g := got.Targets[i]
		if g.Name != w.Name || g.Place != w.Place || g.User != w.User || g.Secret != w.Secret || g.Region != w.Region || g.repo(Records, "x").URL != w.repo(Records, "x").URL {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}
	if _, err := ParseSheet("a letter"); err == nil {
		t.Error("a letter was taken for a sheet")
	}
}

func FuzzParseSheet(f *testing.F) {
	f.Add("Backup password: a\nTarget: folder:///x?name=y\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSheet(text); err == nil {
			for _, target := range s.Targets {
				if again, err := parseTarget(target.line()); err != nil || again.repo(Records, "").URL != target.repo(Records, "").URL {
					t.Fatalf("%q does not come back: %v", target.line(), err)
				}
			}
		}
	})
}

// TestTheNewestCopyOfFoldersStays: others go before the horizon.
func TestTheNewestCopyOfFoldersStays(t *testing.T) {
	var list []restic.Snapshot
	for _, days := range []int{200, 60, 50} {
		list = append(list, restic.Snapshot{ID: fmt.Sprint(days), Time: noon.Add(-time.Duration(days) * day), Tags: []string{foldersTag}})
	}
	list = append(list, restic.Snapshot{ID: "keys", Time: noon.Add(-100 * day), Tags: []string{"pair-X", "facts-1"}})
	if got := oldFolders(list, noon); !slices.Equal(got, []string{"60", "200"}) && !slices.Equal(got, []string{"200", "60"}) {
		t.Fatalf("gone: %v", got)
	}
}

// TestCarelessAndUnkindChangesAreSeen: a link that leads into the house, a place
// on the house's own disk, and somebody who changes how long backups are kept.
func TestCarelessAndUnkindChangesAreSeen(t *testing.T) {
	b, _ := room(t)
	link := filepath.Join(t.TempDir(), "usb")
	if err := os.Symlink(b.Dir, link); err != nil {
		t.Fatal(err)
	}
	if err := b.insideHouse(Target{Kind: Folder, Place: filepath.Join(link, "backups")}); err == nil {
		t.Error("a place that leads into the house by a link is taken")
	}
	var sent []layer.Notice
	b.Notify = func(_ context.Context, _ *store.Tx, n layer.Notice) error { sent = append(sent, n); return nil }
	b.Owners = func(context.Context) []id.Person { return []id.Person{"DANA"} }
	b.SetSchedule(t.Context(), 10_080, "every year for one year") // the room alone has no ledger for its fact
	if len(sent) != 1 {
		t.Error("nobody hears that backups are now kept for less")
	}
	filled(t, b)
	b.SameDisk = func(_, place string) bool { return place == "/mnt/usb/quietroom" }
	s, err := b.standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.failing, s.targets = nil, s.targets[:2]
	if e := b.places(s); e.State != layer.NeedsYou || !strings.Contains(e.Text, "same disk") {
		t.Errorf("%v: %s", e.State, e.Text)
	}
	b.SameDisk = nil
	s.targets[0].Expires, s.targets[1].Expires = true, true
	if e := b.places(s); !strings.Contains(e.Why, "takes over this server") {
		t.Errorf("that all can be removed is not said: %s", e.Why)
	}
}
