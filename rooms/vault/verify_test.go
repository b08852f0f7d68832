package vault

import (
	"strings"
	"testing"
)

func TestVerifyNamesTheRecordThatIsNotAsItWasWritten(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"untouched":         {"", ""},
		"a record deleted":  {`DELETE FROM vault_records WHERE part = 'chart'`, "is gone"},
		"a body changed":    {`UPDATE vault_records SET box = x'0102' WHERE part = 'chart'`, "is not the one that was written"},
		"a version changed": {`UPDATE vault_records SET version = 7 WHERE part = 'chart'`, "is not the one that was written"},
		"a patient hidden":  {`DELETE FROM vault_patients`, "is gone from the list"},
		"a record put in":   {`INSERT INTO vault_records SELECT 'AAAAAAAAAAAAAAAAAAAAAAAAAA', patient, part, version, keyed, at, head, box, sum, blob, size FROM vault_records WHERE part = 'chart'`, "was never written"},
		"a patient put in":  {`INSERT INTO vault_patients (patient, admitted) VALUES ('AAAAAAAAAAAAAAAAAAAAAAAAAA', 1)`, "was never admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			p := h.admit(t, h.jo, "Aldridge", "Sam", h.joTeam)
			h.write(t, h.jo, p, Chart, "x")
			if c.sql != "" {
				h.do(t, c.sql)
			}
			r, err := h.Verify(t.Context(), func(int, int) {})
			if err != nil || !strings.Contains(r.Finding, c.want) || c.want == "" && (r.Finding != "" || r.Patients != 1 || r.Records != 2) {
				t.Fatalf("got %+v, %v; want %q", r, err, c.want)
			}
		})
	}
}
