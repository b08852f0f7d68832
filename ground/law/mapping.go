package law

import (
	"slices"
	"strings"
)

// Mapping says which claims of the rooms show a control.
type Mapping struct {
	Control string   `yaml:"control"`
	Claims  []string `yaml:"claims"` // "room.claim", "room.*" for all of a room, "room.claim?" if it is not missed
}

// Practice is one of the recognized security practices of HHS 405(d), which HHS
// considers if shown in place for the previous twelve months (Pub. L. 116-321).
type Practice struct {
	ID       string   `yaml:"id"`
	Title    string   `yaml:"title"`
	Controls []string `yaml:"controls"`
	Checked  bool     `yaml:"checked"`
}

// Practices are the ten of the volume for small organizations.
func Practices() []Practice { return all().practices }

// Claims are what shows a control; ok is false where it has no row of its own
// and is as its specifications are.
func Claims(control string) (claims []string, ok bool) {
	i := slices.IndexFunc(all().mapping, func(m Mapping) bool { return m.Control == control })
	if i < 0 {
		return nil, false
	}
	return all().mapping[i].Claims, true
}

// Optional tells whether a claim is made only when something is wrong, so that
// nobody misses it.
func Optional(asked string) bool { return strings.HasSuffix(asked, "?") }

// Shows tells whether a claim is the one that a mapping asks for.
func Shows(asked, claim string) bool {
	asked = strings.TrimSuffix(asked, "?")
	if room, every := strings.CutSuffix(asked, "*"); every {
		return strings.HasPrefix(claim, room) && claim != room
	}
	return asked == claim
}
