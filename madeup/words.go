package madeup

// The word lists. Families of patients and of the people who work in the
// practice never meet (a test holds that), so that a patient's name on a disk
// is never a colleague's. No given name and family together name a public
// person that the tests know of.

type given struct{ name, called string } // called: what friends say, or the name itself

var women = []given{
	{"Samantha", "Sam"}, {"Adaeze", "Ada"}, {"Aisha", "Aisha"}, {"Alejandra", "Ale"}, {"Amelia", "Millie"}, {"Anjali", "Anju"},
	{"Annika", "Annika"}, {"Beatriz", "Bea"}, {"Bernadette", "Bernie"}, {"Bridget", "Bridie"}, {"Camille", "Cami"}, {"Carolina", "Caro"},
	{"Catherine", "Cate"}, {"Chiara", "Chiara"}, {"Chloé", "Chlo"}, {"Daniela", "Dani"}, {"Deborah", "Deb"}, {"Delphine", "Delphine"},
	{"Destiny", "Des"}, {"Elisabeth", "Lis"}, {"Emiko", "Emi"}, {"Esperanza", "Espe"}, {"Eun-ji", "Eunie"}, {"Fatima", "Fati"},
	{"Florence", "Flo"}, {"Gabriela", "Gabi"}, {"Genevieve", "Viv"}, {"Gwendolyn", "Gwen"}, {"Hannah", "Hannah"}, {"Harriet", "Hattie"},
	{"Imani", "Imani"}, {"Inés", "Inés"}, {"Ingrid", "Ingrid"}, {"Itzel", "Itzel"}, {"Jacqueline", "Jackie"}, {"Jasmine", "Jas"},
	{"Johanna", "Jo"}, {"Josephine", "Josie"}, {"Kateryna", "Katya"}, {"Katherine", "Kit"}, {"Keisha", "Keisha"}, {"Khadija", "Dija"},
	{"Latoya", "Toya"}, {"Leilani", "Lani"}, {"Lucía", "Lu"}, {"Magdalena", "Magda"}, {"Marguerite", "Margo"}, {"Marisol", "Mari"},
	{"Mei-ling", "Mei"}, {"Meredith", "Mer"}, {"Miriam", "Miri"}, {"Mónica", "Moni"}, {"Nadia", "Nadia"}, {"Natalia", "Talia"},
	{"Noémie", "Noé"}, {"Ngozi", "Ngozi"}, {"Nicolette", "Nic"}, {"Octavia", "Tavi"}, {"Paloma", "Paloma"}, {"Penelope", "Penny"},
	{"Philippa", "Pip"}, {"Priya", "Priya"}, {"Raquel", "Raqui"}, {"Rebecca", "Becca"}, {"Rosalind", "Roz"}, {"Ruth", "Ruthie"},
	{"Sabine", "Sabine"}, {"Saoirse", "Saoirse"}, {"Shanice", "Shani"}, {"Sigrid", "Siri"}, {"Siobhán", "Siobhán"}, {"Soledad", "Sole"},
	{"Stephanie", "Steph"}, {"Svetlana", "Lana"}, {"Tamika", "Mika"}, {"Theodora", "Thea"}, {"Thuy", "Thuy"}, {"Valentina", "Val"},
	{"Veronica", "Ronnie"}, {"Wilhelmina", "Billie"}, {"Ximena", "Mena"}, {"Yesenia", "Yesi"}, {"Yolanda", "Yoli"}, {"Zainab", "Zee"},
	{"Zofia", "Zosia"}, {"Zoë", "Zoë"},
}

var men = []given{
	{"Abdullahi", "Abdi"}, {"Adrián", "Adri"}, {"Alasdair", "Al"}, {"Amadou", "Ama"}, {"Ambrose", "Brose"}, {"André", "Dré"},
	{"Anselm", "Anselm"}, {"Arjun", "Arjun"}, {"Bartholomew", "Bart"}, {"Benjamín", "Benja"}, {"Bertrand", "Bert"}, {"Brendan", "Bren"},
	{"Caleb", "Cal"}, {"Cedric", "Ced"}, {"Chidi", "Chidi"}, {"Christoph", "Chris"}, {"Clifton", "Cliff"}, {"Cormac", "Mac"},
	{"Cristóbal", "Cris"}, {"Darnell", "Dar"}, {"Demetrius", "Meech"}, {"Desmond", "Des"}, {"Dmitri", "Dima"}, {"Edgardo", "Gardo"},
	{"Eduardo", "Lalo"}, {"Elias", "Eli"}, {"Emeka", "Emeka"}, {"Esteban", "Esteban"}, {"Ezekiel", "Zeke"}, {"Fabián", "Fabi"},
	{"Fergus", "Gus"}, {"Francisco", "Paco"}, {"Frederick", "Fritz"}, {"Gerardo", "Gera"}, {"Gilberto", "Beto"}, {"Hiroshi", "Hiro"},
	{"Humberto", "Berto"}, {"Ibrahim", "Ibra"}, {"Ignacio", "Nacho"}, {"Isaiah", "Zay"}, {"Ismael", "Isma"}, {"Jae-won", "Jae"},
	{"Jamal", "Jamal"}, {"Jedediah", "Jed"}, {"Jeremiah", "Jem"}, {"Joaquín", "Quino"}, {"Jonathan", "Jon"}, {"José Luis", "Pepe"},
	{"Kareem", "Kareem"}, {"Kofi", "Kofi"}, {"Kwame", "Kwame"}, {"Lachlan", "Lachie"}, {"Leopold", "Leo"}, {"Lorenzo", "Enzo"},
	{"Malachi", "Mal"}, {"Marcellus", "Marce"}, {"Mateusz", "Mat"}, {"Maximilian", "Max"}, {"Minh", "Minh"}, {"Montgomery", "Monty"},
	{"Nathaniel", "Nate"}, {"Nikhil", "Nik"}, {"Obinna", "Obi"}, {"Octavio", "Tavo"}, {"Oleksandr", "Sasha"}, {"Omar", "Omar"},
	{"Pádraig", "Paddy"}, {"Percival", "Percy"}, {"Quentin", "Quen"}, {"Rafael", "Rafa"}, {"Ramón", "Moncho"}, {"Rashad", "Rashad"},
	{"Reginald", "Reg"}, {"Rory", "Rory"}, {"Salvatore", "Sal"}, {"Santiago", "Santi"}, {"Sebastián", "Seba"}, {"Solomon", "Sol"},
	{"Stanislav", "Stan"}, {"Sven", "Sven"}, {"Tariq", "Tariq"}, {"Terrence", "Terry"}, {"Thaddeus", "Thad"}, {"Tobias", "Toby"},
	{"Tyrell", "Ty"}, {"Vikram", "Vik"}, {"Wendell", "Dell"}, {"Xavier", "Xavi"}, {"Yusuf", "Yusuf"}, {"Zachariah", "Zach"},
}

var families = []string{
	"Ahlquist", "Akinwale", "Albrightson", "Alvarado-Paz", "Amankwah", "Amundsen", "Arceneaux", "Archuleta", "Arnesen",
	"Ashworth", "Asfaw", "Auerbach", "Ávalos", "Babatunde", "Bainbridge", "Balogun", "Barragán", "Bautista-Kerr",
	"Beauchamp", "Bednarczyk", "Begay", "Belanger", "Bhattacharya", "Biedermann", "Birnbaum", "Bochenek", "Boudreaux", "Bracamontes",
	"Brannigan", "Brightwater", "Brzezicki", "Buchholz", "Cadwallader", "Canfield", "Cárdenas", "Castañeda-Wynn", "Castellanos", "Chakraborty",
	"Chaudhry", "Chukwuma", "Cisneros-Vance", "Clearwater", "Colindres", "Cordero", "Coughlin", "Crabtree", "Cunniff", "Czarnecki",
	"D'Agostino", "Dahlgren", "Darvish", "De la Fuente", "Delacroix", "Delgadillo", "Desrosiers", "Diallo-Sharp", "Dombrowski", "Drinkwater",
	"Dubinsky", "Dunleavy", "Echeverría", "Edelstein", "Eisenhart", "Ekwueme", "Elizondo", "Engström", "Escamilla", "Estévez",
	"Fairweather", "Farrokhzad", "Feldmann", "Fernández-Gil", "Figueroa-Stone", "Fitzgibbon", "Fjeldstad", "Fontenot", "Freudenberg",
	"Fujimoto-Hale", "Gallegos", "Gebremariam", "Ghorbani", "Goldfarb", "Goodacre", "Grabowski", "Greenleaf", "Grijalva", "Guidry",
	"Gundersen", "Gutiérrez-Bloom", "Haddad-Frost", "Halvorsen", "Hashimoto", "Hathaway-Boone", "Hébert", "Heidelberg", "Hernández-Ríos", "Hinojosa",
	"Holmström", "Hrabovsky", "Huang-Ellis", "Ibarra", "Inouye-Park", "Iwasaki", "Jaramillo-West", "Jankowski", "Jimerson", "Jørgensen",
	"Kalani", "Kawamoto", "Kowalczyk", "Krishnamurthy", "Lachance", "Lafontaine", "Landrieux", "Larkspur", "Lattimore", "Leatherwood",
	"Llewellyn", "Longacre", "Lovelace-Hart", "Lundgren", "MacAllister", "Madrigal", "Magnusson", "Makinde", "Maldonado-Finch", "Manzanares",
	"Mbeki-Jones", "McAllen", "McGillicuddy", "Meadowcroft", "Melancon", "Mendonça", "Merriweather", "Mikkelsen-Roy", "Moriyama",
	"Mukherjee-Day", "Muñoz-Abbott", "Nakagawa-Bell", "Nascimento", "Navarrete-Snow", "Ndiaye", "Nedzelski", "Nightingale-Fox", "Nguyễn", "Nwachukwu",
	"O'Callaghan", "O'Donoghue", "Ochoa", "Odhiambo", "Okonkwo", "Orozco-Lind", "Østergaard", "Pacheco", "Palmquist", "Papadakis",
	"Pappas", "Paredes-Lamb", "Peña", "Petrosyan", "Pfeiffer-Lau", "Piekarski", "Polidori", "Pomeroy", "Quackenbush", "Quiñones",
	"Rademacher", "Rafferty", "Ramachandran", "Rasmussen", "Redcloud", "Renteria", "Robichaux", "Rosenbloom", "Rutkowski", "Salcedo",
	"Sandoval-Reed", "Santiesteban", "Satterfield", "Schexnayder", "Schumacher-Diaz", "Seifert", "Sepúlveda", "Shimizu-Barr", "Silversmith", "Sjöberg",
	"Skovgaard", "Sokolov-Marsh", "Srinivasan-Holt", "Stonebraker", "Subramanian", "Sundquist", "Swartzentruber", "Szymanski", "Tadesse", "Takahashi-Lund",
	"Talavera", "Tchaikowski", "Thibodeaux", "Thistlewood", "Thorvaldsen", "Tomaszewski", "Trần", "Tsosie", "Tuiasosopo", "Uchida",
	"Uribe", "Vaillancourt", "Valdivia", "Vandermeer", "Villaseñor", "Vinogradov", "Wadsworth", "Weatherby", "Wiśniewski", "Wojcik",
	"Woldemariam", "Wolfenden", "Yamashita-Cole", "Yarborough", "Yazzie", "Yildirim", "Zaragoza", "Zielinski", "Zimmermann-Cho", "Zúñiga",
}

var people = []Person{
	{Handle: "owner-1", Name: "Dr. Ruth Castellan", Roles: []string{"owner", "clinician", "supervisor"}},
	{Handle: "clinician-1", Name: "Tomás Rivera", Roles: []string{"clinician"}},
	{Handle: "clinician-2", Name: "Ben Okafor", Roles: []string{"clinician"}},
	{Handle: "clinician-3", Name: "Aisha Bello", Roles: []string{"clinician"}},
	{Handle: "clinician-4", Name: "Hana Lindström", Roles: []string{"clinician"}},
	{Handle: "clinician-5", Name: "Linh Phạm", Roles: []string{"clinician"}},
	{Handle: "clinician-6", Name: "Wyatt Greyeyes", Roles: []string{"clinician"}},
	{Handle: "supervisor-1", Name: "Renée Thibault", Roles: []string{"supervisor"}},
	{Handle: "front-desk-1", Name: "Marguerite Dunne", Roles: []string{"front-desk"}},
	{Handle: "front-desk-2", Name: "Jesús Ybarra", Roles: []string{"front-desk"}},
	{Handle: "billing-1", Name: "Priscilla Tan-Moss", Roles: []string{"billing"}},
	{Handle: "billing-2", Name: "Ossian Keller", Roles: []string{"billing"}},
}

type town struct {
	name, state, zip string // zip: its first three digits
	areas            []string
}

var towns = []town{
	{"Portland", "ME", "041", []string{"207"}}, {"Bangor", "ME", "044", []string{"207"}}, {"Burlington", "VT", "054", []string{"802"}},
	{"Worcester", "MA", "016", []string{"508", "774"}}, {"Providence", "RI", "029", []string{"401"}}, {"Hartford", "CT", "061", []string{"860", "959"}},
	{"Syracuse", "NY", "132", []string{"315", "680"}}, {"Trenton", "NJ", "086", []string{"609", "640"}}, {"Erie", "PA", "165", []string{"814", "582"}},
	{"Baltimore", "MD", "212", []string{"410", "443"}}, {"Roanoke", "VA", "240", []string{"540", "826"}}, {"Asheville", "NC", "288", []string{"828"}},
	{"Savannah", "GA", "314", []string{"912"}}, {"Tallahassee", "FL", "323", []string{"850", "448"}}, {"Mobile", "AL", "366", []string{"251"}},
	{"Lafayette", "LA", "705", []string{"337"}}, {"Knoxville", "TN", "379", []string{"865"}}, {"Dayton", "OH", "454", []string{"937", "326"}},
	{"Kalamazoo", "MI", "490", []string{"269"}}, {"Duluth", "MN", "558", []string{"218"}}, {"Madison", "WI", "537", []string{"608", "353"}},
	{"Des Moines", "IA", "503", []string{"515"}}, {"Topeka", "KS", "666", []string{"785"}}, {"Tulsa", "OK", "741", []string{"918", "539"}},
	{"El Paso", "TX", "799", []string{"915"}}, {"San Antonio", "TX", "782", []string{"210", "726"}}, {"Las Cruces", "NM", "880", []string{"575"}},
	{"Flagstaff", "AZ", "860", []string{"928"}}, {"Pueblo", "CO", "810", []string{"719"}}, {"Billings", "MT", "591", []string{"406"}},
	{"Boise", "ID", "837", []string{"208", "986"}}, {"Salem", "OR", "973", []string{"503", "971"}}, {"Tacoma", "WA", "984", []string{"253"}},
	{"Fresno", "CA", "937", []string{"559"}}, {"Oakland", "CA", "946", []string{"510", "341"}}, {"Hilo", "HI", "967", []string{"808"}},
}

var streets = []string{
	"Alder Creek", "Bayberry", "Birch Hollow", "Canal", "Cedar Ridge", "Chapel", "Cistern", "Clover Field", "Cooper Mill", "Cottonwood",
	"Dogwood", "Eastern Prom", "Elderberry", "Fern Hill", "Fiddler's Green", "Foundry", "Garnet", "Granary", "Harbor View", "Heron",
	"Juniper", "Kestrel", "Lantern", "Linden", "Lower Falls", "Magnolia", "Meetinghouse", "Millrace", "Mulberry", "Old Quarry",
	"Orchard", "Osprey", "Paper Birch", "Pigeon Hill", "Pine Needle", "Quince", "Redbud", "Ropewalk", "Saltmarsh", "Sandpiper",
	"Sawmill", "Schoolhouse", "Snowberry", "Spring Garden", "Sycamore", "Tannery", "Three Rivers", "Upper Meadow", "Walnut", "Willow Bend",
}

var streetKinds = []string{"St", "Ave", "Ln", "Rd", "Ct", "Dr", "Way", "Terrace"}

var payers = []struct{ name, prefix string }{
	{"Lakeshore Mutual Health", "LMH"}, {"Tidewater Health Plan", "TWH"}, {"Prairie Community Care", "PCC"}, {"Granite State Benefit Trust", "GSB"},
	{"Cascade Family Health", "CFH"}, {"Union Hall Benefit Fund", "UHB"}, {"Bluestem State Medicaid", "BSM"}, {"Evergreen Employees Plan", "EEP"},
}

var safeContacts = []SafeContact{
	{"Text only; a partner hears the voicemail.", []string{"text", "portal"}, []string{"voicemail", "phone", "post"}},
	{"Phone after 5 pm, never at work. Voicemail: first name only.", []string{"phone", "text", "mail"}, []string{"voicemail"}},
	{"Portal only. Nothing may come to the house.", []string{"portal"}, []string{"post", "phone", "voicemail", "text", "mail"}},
	{"Any way is fine.", []string{"phone", "voicemail", "text", "mail", "post", "portal"}, nil},
	{"Mail and text. The mailbox at home is shared, so no letters.", []string{"mail", "text", "portal"}, []string{"post"}},
	{"Phone and post; does not read mail.", []string{"phone", "voicemail", "post"}, []string{"mail"}},
	{"Text before calling. Envelopes without the practice's name.", []string{"text", "phone", "post"}, []string{"voicemail"}},
	{"Parents pay the phone bill: portal or mail, no texts.", []string{"portal", "mail"}, []string{"text", "voicemail"}},
	{"Call the mobile only. The second number is for emergencies.", []string{"phone", "voicemail", "text"}, []string{"post"}},
	{"Mail only to the private address, never to the employer's.", []string{"mail", "portal"}, []string{"post", "phone"}},
}

var guardianContacts = []SafeContact{
	{"Guardian by phone; ask before leaving a voicemail.", []string{"phone"}, []string{"voicemail", "post"}},
	{"Guardian for appointments; the young person by portal for everything else.", []string{"phone", "portal"}, []string{"mail", "post"}},
	{"Guardian by text. Two households: never pass word from one to the other.", []string{"text", "phone"}, []string{"voicemail", "post"}},
}
