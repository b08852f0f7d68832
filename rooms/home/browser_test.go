package home_test

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

func TestEveryHouseLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	for _, s := range scenes {
		p := newPractice(t)
		s.set(p)
		url := webtest.Serve(t, p.mux)
		signIn(t, tab, url)
		tab.EveryWay(url+"/", s.name, pictures)
		tab.EveryWay(url+"/evidence", s.name+"-evidence", pictures)
		tab.Width(320)
		tab.Go(url + "/")
		tab.Axe()
	}
}

// signIn gives the tab the cookie of a session, as identity would.
func signIn(t *testing.T, tab *webtest.Tab, url string) {
	t.Helper()
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: "x", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}
