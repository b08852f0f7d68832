package bucket

import "testing"

func TestKeysGoOnlyWhereTheyAreGoneIn35Days(t *testing.T) {
	for _, c := range []struct {
		what string
		r    Rules
		ok   bool
	}{
		{"no versions", Rules{}, true},
		{"versions for ever", Rules{Versioned: true}, false},
		{"versions for a day", Rules{Versioned: true, OldDays: 1}, true},
		{"versions for a week", Rules{Versioned: true, OldDays: 7}, false},
		{"a lock of 30 days", Rules{Versioned: true, OldDays: 1, LockDays: 30}, true},
		{"a lock of 35 days", Rules{Versioned: true, OldDays: 1, LockDays: 35}, true},
		{"a lock of 36 days", Rules{Versioned: true, OldDays: 1, LockDays: 36}, false},
		{"a lock and versions for ever", Rules{Versioned: true, LockDays: 30}, false},
	} {
		if ok, why := c.r.KeysGo(); ok != c.ok || ok == (why != "") {
			t.Errorf("%s: %v, %q", c.what, ok, why)
		}
	}
}
