package compliance_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

func TestProofLooksRightInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	p := newPractice(t)
	p.says = []layer.Evidence{p.saw("compliance.ledger", layer.Safe, time.Hour), p.saw("home.drill.tamper", layer.Safe, time.Hour), p.saw("backup.fresh", layer.NeedsYou, time.Hour), p.saw("identity.doors", layer.Urgent, time.Hour)}
	p.ask("POST", "/proof/164.310(a)(1)/word", "/proof/164.310(a)(1)", "kind=said&text=The+office+is+locked+at+night")
	if err := p.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := p.ask("POST", "/proof/binder", "/proof/binder", "months=12").Header().Get("Location")
	url := webtest.Serve(t, p.mux)
	err := chromedp.Do(tab.Context(), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{
			URL: url, Name: web.SessionCookie, Value: "x", Path: "/", Secure: new(true), HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	tab.EveryWay(url+"/proof", "proof", pictures)
	tab.EveryWay(url+"/proof/164.312(b)", "proof-control", pictures)
	tab.EveryWay(url+"/proof/binder", "proof-binder", pictures)
	tab.EveryWay(url+made, "proof-made", pictures)
}
