package seal

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestGoldenGlass(t *testing.T) {
	type vector struct {
		A        Hex    `json:"a"`
		House    Hex    `json:"house"`
		Practice string `json:"practice"`
		Making   string `json:"making"`
		B        Hex    `json:"b"`
		Public   Hex    `json:"public_sha256"`
		Person   string `json:"person"`
		Seed     Hex    `json:"seed"`
		Half     Hex    `json:"half"` // A, sealed to the person
		Box      Hex    `json:"box"`  // a team key, sealed to the pair
		Team     Hex    `json:"team"`
	}
	place := Slot{Kind: "team-key", Practice: "practice-1", Holder: GlassKey, Subject: "team-1", Version: 2}
	for _, v := range golden(t, "glass", func() (all []vector) {
		for _, making := range []string{"making-1", "making-2"} {
			v := vector{A: secret32("glass a"), House: secret32("glass house"), Practice: "practice-1", Making: making, Person: "person-1", Seed: secret32("glass seed"), Team: secret32("glass team")}
			b := GlassHalf(v.House.key(t), v.Practice, v.Making)
			pair := must(GlassPair(v.A.key(t), b, v.Practice, v.Making))
			user := must(Seed{v.Seed.key(t)}.User())
			v.B, v.Public = b[:], hashOf(pair.Public())
			v.Half = must(SealTo(user.Pair.Public(), v.A, GlassSlot(v.Practice, v.Person, v.Making)))
			v.Box = must(SealTo(pair.Public(), v.Team, place))
			all = append(all, v)
		}
		return all
	}) {
		b := GlassHalf(v.House.key(t), v.Practice, v.Making)
		wantHex(t, "the house's half", b[:], v.B)
		user := must(Seed{v.Seed.key(t)}.User())
		a, err := user.OpenKey(v.Half, GlassSlot(v.Practice, v.Person, v.Making))
		if err != nil {
			t.Fatalf("a half that opened does not open any more: %v", err)
		}
		wantHex(t, "the person's half", a[:], v.A)
		pair := must(GlassPair(a, b, v.Practice, v.Making))
		wantHex(t, "the pair", hashOf(pair.Public()), v.Public)
		team, err := pair.OpenKey(v.Box, place)
		if err != nil {
			t.Fatalf("a team key that opened does not open any more: %v", err)
		}
		wantHex(t, "the team key", team[:], v.Team)
	}
}

// Everything that is made of one half, and of the other half of something else,
// opens nothing.
func TestOneHalfOfTheGlassOpensNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-z]{0,3}`)
		practice, making := word.Draw(t, "practice"), word.Draw(t, "making")
		a, house := NewKey(), NewKey()
		b := GlassHalf(house, practice, making)
		pair := must(GlassPair(a, b, practice, making))
		slot, team := anySlot.Draw(t, "slot"), NewKey()
		box := must(SealTo(pair.Public(), team[:], slot))
		if got, err := must(GlassPair(a, b, practice, making)).OpenKey(box, slot); err != nil || got != team {
			t.Fatalf("both halves do not open: %v", err)
		}
		if a == b || bytes.Equal(a[:], house[:]) {
			t.Fatal("the halves are the same")
		}
		mixed := rapid.SampledFrom([]string{"a alone", "b alone", "house alone", "a twice", "b twice", "swapped", "zero", "another practice", "another making", "shifted"}).Draw(t, "mixed")
		for _, other := range wrongPairs(mixed, a, b, house, practice, making) {
			if other.Public().Equal(pair.Public()) {
				t.Fatalf("%s gives the pair", mixed)
			}
			if _, err := other.OpenKey(box, slot); !errors.Is(err, ErrSealed) {
				t.Fatalf("%s opens a team key: %v", mixed, err)
			}
		}
	})
}

func wrongPairs(what string, a, b, house Key, practice, making string) []*Pair {
	switch what {
	case "a alone":
		return []*Pair{must(PairFrom(a)), must(PairFrom(a.Derive("break-glass pair v1", practice, making))), must(GlassPair(a, NewKey(), practice, making))}
	case "b alone":
		return []*Pair{must(PairFrom(b)), must(PairFrom(b.Derive("break-glass pair v1", practice, making))), must(GlassPair(NewKey(), b, practice, making))}
	case "house alone":
		return []*Pair{must(PairFrom(house)), must(GlassPair(NewKey(), GlassHalf(house, practice, making), practice, making))}
	case "a twice":
		return []*Pair{must(GlassPair(a, a, practice, making))}
	case "b twice":
		return []*Pair{must(GlassPair(b, b, practice, making))}
	case "swapped":
		return []*Pair{must(GlassPair(b, a, practice, making))}
	case "zero":
		return []*Pair{must(GlassPair(a, Key{}, practice, making)), must(GlassPair(Key{}, b, practice, making))}
	case "another practice":
		return []*Pair{must(GlassPair(a, b, practice+"x", making)), must(GlassPair(a, GlassHalf(house, practice+"x", making), practice+"x", making))}
	case "another making":
		return []*Pair{must(GlassPair(a, b, practice, making+"x")), must(GlassPair(a, GlassHalf(house, practice, making+"x"), practice, making))}
	}
	return []*Pair{must(GlassPair(a, b, practice+"x"+making, "")), must(GlassPair(a, b, "", practice+"x"+making))}
}

// Half A opens for the one person to whom it was sealed, in that practice and making.
func TestAHalfOfTheGlassIsOnePersonsOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := must(Seed{NewKey()}.User()), must(Seed{NewKey()}.User())
		a := NewKey()
		box := must(SealTo(mine.Pair.Public(), a[:], GlassSlot("practice-1", "jo", "making-1")))
		if got, err := mine.OpenKey(box, GlassSlot("practice-1", "jo", "making-1")); err != nil || got != a {
			t.Fatalf("it does not open for its person: %v", err)
		}
		if _, err := theirs.OpenKey(box, GlassSlot("practice-1", "jo", "making-1")); !errors.Is(err, ErrSealed) {
			t.Fatalf("it opens for somebody else: %v", err)
		}
		place := rapid.SampledFrom([]Slot{GlassSlot("practice-2", "jo", "making-1"), GlassSlot("practice-1", "ana", "making-1"), GlassSlot("practice-1", "jo", "making-2"), {}}).Draw(t, "place")
		if _, err := mine.OpenKey(box, place); !errors.Is(err, ErrSealed) {
			t.Fatalf("it opens in another place: %v", err)
		}
	})
}
