package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"quietroom/ground/web"
)

func show(pages *web.Pages, name string, data any) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return pages.Show(w, r, name, web.View{Title: "Page", Data: data})
	}
}

// render is what a page makes of one expression.
func render(t *testing.T, expression string, data any) (string, error) {
	t.Helper()
	pages := web.MustPages(fstest.MapFS{"x.html": {Data: []byte("<i>" + expression + "</i>")}})
	pages.Now = now
	w := httptest.NewRecorder()
	err := pages.Show(w, httptest.NewRequest("GET", "/", nil), "x", web.View{Title: "x", Data: data})
	_, after, _ := strings.Cut(w.Body.String(), "<i>")
	inside, _, _ := strings.Cut(after, "</i>")
	return inside, err
}

func TestWordsReadAsAPersonWouldSayThem(t *testing.T) {
	tag := func(kind, at, text string) string {
		return `<time datetime="` + at + `" data-time="` + kind + `">` + text + `</time>`
	}
	for _, c := range []struct {
		expression string
		data       any
		want       string
	}{
		{`{{number .}}`, 0, "0"},
		{`{{number .}}`, 999, "999"},
		{`{{number .}}`, 1284, "1,284"},
		{`{{number .}}`, int64(-33000000), "-33,000,000"},
		{`{{number .}}`, int64(-999), "-999"},
		{`{{plural . "patient" "patients"}}`, 1, "1 patient"},
		{`{{plural . "patient" "patients"}}`, 0, "0 patients"},
		{`{{plural . "patient" "patients"}}`, 33000, "33,000 patients"},
		{`{{minutes .}}`, 1, "1 minute"},
		{`{{minutes .}}`, 60, "1 hour"},
		{`{{minutes .}}`, 90, "1 hour 30 minutes"},
		{`{{minutes .}}`, 130, "2 hours 10 minutes"},
		{`{{age .}}`, time.Time{}, "never"},
		{`{{age .}}`, now().Add(-30 * time.Second), tag("age", "2026-11-23T15:01:30Z", "just now")},
		{`{{age .}}`, now().Add(-90 * time.Second), tag("age", "2026-11-23T15:00:30Z", "1 minute ago")},
		{`{{age .}}`, now().Add(-26 * time.Hour), tag("age", "2026-11-22T13:02:00Z", "26 hours ago")},
		{`{{age .}}`, now().AddDate(0, 0, -9), tag("age", "2026-11-14T15:02:00Z", "9 days ago")},
		{`{{age .}}`, now().AddDate(-1, 0, 0), tag("age", "2025-11-23T15:02:00Z", "12 months ago")},
		{`{{age .}}`, now().AddDate(-3, 0, 0), tag("age", "2023-11-23T15:02:00Z", "3 years ago")},
		{`{{age .}}`, now().Add(3 * time.Minute), tag("age", "2026-11-23T15:05:00Z", "in 3 minutes")},
		{`{{day .}}`, now(), tag("day", "2026-11-23T15:02:00Z", "Nov 23")},
		{`{{day .}}`, now().AddDate(7, 0, 0), tag("day", "2033-11-23T15:02:00Z", "Nov 23, 2033")},
		{`{{moment .}}`, now(), tag("moment", "2026-11-23T15:02:00Z", "today 3:02\u00a0pm")},
		{`{{moment .}}`, now().AddDate(0, -1, 0), tag("moment", "2026-10-23T15:02:00Z", "Oct 23, 3:02\u00a0pm")},
		{`{{result . "<Closed>"}}`, safe, `<b class="status" data-is="safe">`},
		{`{{status .}}`, state{"nonsense", "Nonsense"}, `<b class="status" data-is="unknown">`},
	} {
		got, err := render(t, c.expression, c.data)
		if err != nil || !strings.HasPrefix(got, c.want) || strings.Contains(got, "<Closed") {
			t.Errorf("%s of %v is %q (%v), want %q", c.expression, c.data, got, err, c.want)
		}
	}
}

func TestOnlyWhatWasProvenIsAClosedDoor(t *testing.T) {
	want := map[string]string{"safe": "closed", "needs": "ajar", "urgent": "open"}
	for _, s := range seven {
		door := want[s.is]
		if door == "" {
			door = "unknown"
		}
		if got, err := render(t, `{{door .}}`, s); err != nil || !strings.Contains(got, "#door-"+door) {
			t.Errorf("%s is drawn as %s (%v), want door-%s", s, got, err, door)
		}
	}
}

func TestAPageThatFailsSendsNothing(t *testing.T) {
	for _, expression := range []string{`before {{icon "no-such-icon"}}`, `before {{.Missing}}`, `before {{number "x"}}`} {
		got, err := render(t, expression, struct{}{})
		if err == nil || got != "" {
			t.Errorf("%s sent %q and %v", expression, got, err)
		}
	}
}

func TestAChartShowsAGapWhereNobodyMeasured(t *testing.T) {
	bars := web.Bars{Title: "Three nights", Caption: "Records", From: "Mon", To: "Wed", Of: "Night", Unit: "Records",
		Bars: []web.Bar{{Name: "Mon", Value: 40}, {Name: "Tue", Gap: true}, {Name: "Wed", Value: 0}}}
	got, err := render(t, `{{chart .}}`, bars)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<title>Three nights</title>`,
		`<rect class="bar" x="0" y="6" width="13" height="34"/>`,
		`<rect class="gap" x="74.5" y="7" width="12" height="33"/>`,
		`<rect class="bar" x="148" y="40" width="13" height="0"/>`,
		`<tr><th scope="row">Tue</th><td class="number">Not known</td></tr>`,
		`<tr><th scope="row">Wed</th><td class="number">0</td></tr>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the chart lacks %s:\n%s", want, got)
		}
	}
	if _, err := render(t, `{{chart .}}`, web.Bars{}); err != nil {
		t.Errorf("a chart of nothing: %v", err)
	}
}
