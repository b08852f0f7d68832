package seal

// Breaking the glass: a pair to which the team keys are sealed too, so that in
// an emergency one person may open one chart that is not theirs. Its private
// half lies nowhere. It comes from two halves: A is sealed to each person who
// may break the glass, B lies with the house, outside of the database. Neither
// tells anything without the other. Whoever has both, as a thief of the house's
// disk with one such person's seed, has everything that the pair reaches.

// GlassKey is the pair's name in the roster, and that of the holder of what is sealed to it.
const GlassKey = "break-glass"

// GlassPair derives the pair from its halves. It belongs to one practice, and
// to one making: whoever makes it anew names it anew.
func GlassPair(a, b Key, practice, making string) (*Pair, error) {
	defer a.Wipe() // this function's own copies
	defer b.Wipe()
	both := Combine("break-glass v1", a, b)
	defer both.Wipe()
	return PairFrom(both.Derive("break-glass pair v1", practice, making))
}

// GlassHalf derives the house's half of one making from the house's own secret:
// several servers share one secret, and a new pair needs no new file.
func GlassHalf(house Key, practice, making string) Key {
	return house.Derive("break-glass house v1", practice, making)
}

// GlassSlot is the place of half A, sealed to one person's pair.
func GlassSlot(practice, person, making string) Slot {
	return Slot{Kind: "glass-half", Practice: practice, Holder: person, Subject: making}
}
