package main

import (
	"strings"
	"testing"
)

func TestSupportTextNamesNobody(t *testing.T) {
	s := &settings{ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Origin: "https://vault.harbor-counseling.example", Database: "postgres://quiet:secret@db.harbor.example/house"}
	findings := []finding{
		bad("Name", "vault.harbor-counseling.example leads nowhere.", "enter the name"),
		bad("Directory", "Others may look into /srv/harbor/house.db.", "chmod -R go= /srv/harbor"),
		unknown("Database", "postgres://quiet:secret@db.harbor.example/house does not answer."),
	}
	text := supportText(findings, "/srv/harbor", s)
	for _, secret := range []string{"harbor", "secret", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
		if strings.Contains(text, secret) {
			t.Errorf("the support text says %q:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "Name: not ok. HOST leads nowhere.") || !strings.Contains(text, "Database: PostgreSQL") {
		t.Errorf("the support text says too little:\n%s", text)
	}
}
