package seal

import (
	"bytes"
	"io"
	"testing"
)

func TestRosterAcceptsOnlyTheSignedChain(t *testing.T) {
	owner, jo := NewSeed(), NewSeed()
	ou, err := owner.User()
	if err != nil {
		t.Fatal(err)
	}
	ju, _ := jo.User()
	r, first, err := Begin("ANA", ou, Entry{Practice: "P", At: 1})
	if err != nil {
		t.Fatal(err)
	}
	keys := ju.Keys()
	second, err := r.Sign("ANA", ou.Signer, Entry{At: 2, Act: Join, Person: "JO", Keys: &keys, Roles: []string{"clinician"}})
	if err != nil {
		t.Fatal(err)
	}
	team := NewKey()
	inbox, _ := TeamInbox(team)
	third, err := r.Sign("ANA", ou.Signer, Entry{At: 3, Act: Form, Team: "T", Kind: "care", Members: []string{"JO", "ANA"}, Epoch: 1, Commitment: team.Commitment(), Public: inbox.Public()})
	if err != nil {
		t.Fatal(err)
	}
	chain := []Signed{first, second, third}
	if _, err := ReadRoster(chain, r.Root); err != nil {
		t.Fatalf("the true chain is refused: %v", err)
	}
	if err := r.CheckTeamKey("T", 1, team); err != nil {
		t.Fatal(err)
	}
	if err := r.CheckTeamKey("T", 1, NewKey()); err == nil {
		t.Fatal("a forged team key is accepted")
	}
	if _, err := r.Sign("JO", ju.Signer, Entry{At: 4, Act: Form, Team: "T", Kind: "care", Members: []string{"JO"}, Epoch: 2, Commitment: NewKey().Commitment(), Public: inbox.Public()}); err == nil {
		t.Fatal("a clinician signed a team key; only an owner may")
	}
	if _, err := r.Sign("ANA", ou.Signer, Entry{At: 4, Act: Form, Team: "T", Kind: "care", Members: []string{"ANA"}, Epoch: 1, Commitment: team.Commitment(), Public: inbox.Public()}); err == nil {
		t.Fatal("a member was taken out and the team kept the key that member knows")
	}
}

func TestStreamComesBackWhole(t *testing.T) {
	k, slot := NewKey(), Slot{Kind: "file", Record: "R"}
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 7} {
		plain := bytes.Repeat([]byte{7}, n)
		var sealed bytes.Buffer
		w, _ := k.SealStream(&sealed, slot)
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if int64(sealed.Len()) != SealedSize(int64(n)) {
			t.Fatalf("%d bytes sealed are %d long, SealedSize says %d", n, sealed.Len(), SealedSize(int64(n)))
		}
		got, err := io.ReadAll(k.OpenStream(bytes.NewReader(sealed.Bytes()), slot))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: got %d back, %v", n, len(got), err)
		}
		if sealed.Len() > 0 {
			if _, err := io.ReadAll(k.OpenStream(bytes.NewReader(sealed.Bytes()[:sealed.Len()-1]), slot)); err == nil {
				t.Fatalf("%d bytes: a stream cut by one byte opened", n)
			}
		}
	}
}

func TestCodesAreReadAsTyped(t *testing.T) {
	c := NewCode(Personal)
	got, err := ParseCode(Personal, " "+c.Text()+"\n")
	if err != nil || got != c {
		t.Fatalf("a code typed as printed is refused: %v", err)
	}
	if _, err := ParseCode(Kit, c.Text()); err == nil {
		t.Fatal("a personal code was taken for the kit")
	}
}
