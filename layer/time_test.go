package layer_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"quietroom/layer"
)

func TestATimeComesAgainAtTheSameHour(t *testing.T) {
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	at := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, york)
	}
	weekly := layer.Time{At: at(10, 20, 14).UnixMilli(), Minutes: 50, Every: 7, Zone: "America/New_York"}
	ended, skipped := weekly, weekly
	ended.Until = at(11, 3, 14).UnixMilli()
	skipped.Except = []int64{at(11, 3, 14).UnixMilli()}
	for name, c := range map[string]struct {
		time     layer.Time
		from, to time.Time
		want     []time.Time
	}{
		"through the end of summer time":    {weekly, at(10, 27, 0), at(11, 11, 0), []time.Time{at(10, 27, 14), at(11, 3, 14), at(11, 10, 14)}},
		"seen from a house in another zone": {weekly, at(11, 3, 0).UTC(), at(11, 4, 0).UTC(), []time.Time{at(11, 3, 14)}},
		"until the last":                    {ended, at(10, 27, 0), at(12, 1, 0), []time.Time{at(10, 27, 14), at(11, 3, 14)}},
		"but not when it falls out":         {skipped, at(10, 27, 0), at(11, 11, 0), []time.Time{at(10, 27, 14), at(11, 10, 14)}},
		"not before the first":              {weekly, at(10, 1, 0), at(10, 21, 0), []time.Time{at(10, 20, 14)}},
		"the end is not in it":              {weekly, at(10, 20, 0), at(10, 20, 14), nil},
		"the beginning is":                  {weekly, at(10, 20, 14), at(10, 20, 15), []time.Time{at(10, 20, 14)}},
		"once":                              {layer.Time{At: at(10, 20, 14).UnixMilli()}, at(10, 1, 0), at(12, 1, 0), []time.Time{at(10, 20, 14)}},
		"years later":                       {weekly, at(10, 20, 0).AddDate(10, 0, 0), at(10, 27, 0).AddDate(10, 0, 0), []time.Time{at(10, 20, 14).AddDate(0, 0, 7*522)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := slices.Collect(c.time.Between(c.from, c.to))
			if !slices.EqualFunc(got, c.want, time.Time.Equal) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if got := layer.NextOf([]layer.Time{ended, {At: at(11, 2, 9).UnixMilli()}}, at(10, 28, 0)); !got.Equal(at(11, 2, 9)) {
		t.Errorf("the next is %v", got)
	}
	if got := layer.NextOf([]layer.Time{ended}, at(12, 1, 0)); !got.IsZero() {
		t.Errorf("after the last comes %v", fmt.Sprint(got))
	}
}
