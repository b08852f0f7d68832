package chart_test

import (
	"net/url"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/layer"
)

func TestTheEmergencyCardIsTwoActsAwayWhenTheGateIsClosed(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	other := h.admit(layer.Card{Family: "Baldwin", Given: "Thea", Care: []id.Team{h.bello}})
	h.write("rivera", p, "safety-plan", "sign", map[string]string{"signs": "an older plan"})
	h.now = h.now.Add(time.Hour)
	h.write("rivera", p, "safety-plan", "sign", map[string]string{"signs": "cannot sleep", "own": "walk to the harbor"})
	h.write("rivera", p, "safety-plan", "keep", map[string]string{"signs": "only a draft"})
	h.write("rivera", p, "dap", "sign", map[string]string{"data": "said in the room"})
	h.now = h.now.Add(time.Hour)
	shut := &layer.Refusal{Why: "This computer’s firewall is off"}
	for _, part := range []string{layer.PartIdentity, layer.PartChart} {
		h.gate.closed[part] = shut
	}
	h.want(403, "rivera", "GET", page(p), nil)
	list := h.want(200, "rivera", "GET", "/emergency", nil).Body.String()
	contains(t, list, "Aldridge", page(p, "/emergency"))
	lacks(t, list, "Baldwin")
	got := h.want(200, "rivera", "GET", page(p, "/emergency"), nil).Body.String()
	contains(t, got, "(503) 555-0142", "Noor Haddad", "12 Alder Way", "cannot sleep", "walk to the harbor", "988", "Text only")
	lacks(t, got, "an older plan", "only a draft", "said in the room")
	for _, who := range []string{"bello", "desk", "stranger"} {
		lacks(t, h.want(404, who, "GET", page(p, "/emergency"), nil).Body.String(), "0142", "cannot sleep")
	}
	h.want(404, "rivera", "GET", page(other, "/emergency"), nil)
	contains(t, h.want(200, "desk", "GET", "/emergency", nil).Body.String(), "no patient’s care team")
	contains(t, h.want(200, "rivera", "POST", "/emergency", url.Values{"q": {"nobody"}}).Body.String(), "None of your patients fits")
	h.gate.closed[layer.GateEmergency] = &layer.Refusal{Why: "This computer was reported lost"}
	h.want(403, "rivera", "GET", "/emergency", nil)
	lacks(t, h.want(403, "rivera", "GET", page(p, "/emergency"), nil).Body.String(), "0142", "cannot sleep")
	clear(h.gate.closed)
	h.want(303, "rivera", "POST", page(p, "/where"), url.Values{"where": {"Cabin 4, Lake Road"}})
	contains(t, h.want(200, "rivera", "GET", page(p, "/emergency"), nil).Body.String(), "Cabin 4, Lake Road, written down", "12 Alder Way")
	h.want(404, "desk", "POST", page(p, "/where"), url.Values{"where": {"elsewhere"}})
	contains(t, h.want(200, "rivera", "GET", page(p), nil).Body.String(), "Opened the emergency card", page(p, "/emergency"))
	lacks(t, h.want(200, "desk", "GET", page(p), nil).Body.String(), page(p, "/emergency"))
}

func TestASenderLearnsWhetherAPatientMayBeReached(t *testing.T) {
	h := newHouse(t)
	p := h.sam()
	quiet := h.admit(layer.Card{Family: "Baldwin", Phones: []string{"1"}, Language: "Spanish", Safe: layer.SafeContact{Name: "T. Baldwin", Ways: map[string]bool{"mail": true, "phone": true}}})
	for name, c := range map[string]struct {
		p          id.Patient
		way        string
		may, asked bool
		to, called string
	}{
		"a yes":                        {p, layer.ByText, true, true, "(503) 555-0142", "Sam Aldridge"},
		"a no":                         {p, layer.ByPost, false, true, "12 Alder Way, Salem, OR", "Sam Aldridge"},
		"nobody asked":                 {p, layer.ByMail, false, false, "sam@example.com", "Sam Aldridge"},
		"the portal has no address":    {p, layer.ByPortal, true, true, "", "Sam Aldridge"},
		"a yes without an address":     {quiet, layer.ByMail, false, true, "", "T. Baldwin"},
		"a phone is not its voicemail": {quiet, layer.ByVoicemail, false, false, "1", "T. Baldwin"},
		"a way that nobody knows":      {quiet, "pigeon", false, false, "", "T. Baldwin"},
	} {
		r, err := h.chart.Reach(h.as("desk"), c.p, c.way)
		h.must(err)
		to := ""
		if len(r.To) > 0 {
			to = r.To[0]
		}
		if r.May != c.may || r.Asked != c.asked || to != c.to || r.Name != c.called {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, err := h.chart.Reach(h.as("stranger"), p, layer.ByText); err == nil || r.May || len(r.To) > 0 {
		t.Errorf("somebody who may know no names learns %+v, %v", r, err)
	}
}
