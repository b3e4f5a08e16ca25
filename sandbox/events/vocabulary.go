package events

import "strings"

// The texts that events are made of. Phrases are composed once, so that an event costs copies only. Part of the text is
// outside ASCII, and outside the Basic Multilingual Plane, since that is where encoders go wrong.
var (
	colors = []string{
		"navy", "ecru", "Bordeaux", "azul-petróleo", "off-white", "schwarz", "écru chiné", "墨色", "terracotta",
		"verde-água",
	}
	garments = []string{
		"jersey dress", "wool coat", "camisola de malha", "Strickjacke", "robe plissée", "linen shirt",
		"knitted cardigan", "calças de bombazine", "overall", "bonnet à pompon", "スウェットシャツ", "swimsuit",
	}
	materials = []string{
		"100% organic cotton", "95% algodão, 5% elastano", "80% wool, 20% polyamide", "100% linen, garment dyed",
		"70% Baumwolle, 30% Leinen", "laine mérinos extra-fine", "recycled polyester, brushed",
	}
	brands = []string{
		"Maré Alta", "Nørrebro Kids", "Petit Béguin", "O'Neill & Daughters", "Wolle und Söhne", "小さな森", "Casa da Praia",
		"Łódź Mills",
	}
	firsts = []string{
		"João", "Inês", "Zoë", "Søren", "Łukasz", "Aoife", "François", "Jürgen", "さくら", "María José", "Emma", "Noah",
		"Åsa", "D'Arcy",
	}
	lasts = []string{
		"Gonçalves", "O'Neill", "Müller", "Nowak-Żak", "Sørensen", "Dupont", "García Pérez", "van den Berg", "高橋",
		"Smith", "Ferreira da Silva",
	}
	streets = []string{
		"Rua de Santa Catarina", "Boulevard Saint-Germain", "Große Elbstraße", "ulica Piotrkowska", "Nørrebrogade",
		"Calle de la Princesa", "Keizersgracht", "Travessa do Carregal", "High Street", "Strandvägen",
	}
	notes = []string{
		"Please leave the parcel with the neighbour on the ground floor if nobody answers.",
		"Entregar apenas depois das 18h; a campainha não funciona.",
		"Geschenk - bitte keine Rechnung beilegen! 🎁",
		"Livraison au dépôt, quai n° 4, prévenir la veille.",
		"fragile",
		"",
	}
	statuses  = []string{"created", "on_hold", "processing", "shipped", "delivered", "canceled"}
	services  = []string{"standard", "express", "economy", "pick-up point"}
	incoterms = []string{"DAP", "DDP"}
	documents = []string{
		"commercial_invoice", "packing_list", "certificate_of_origin", "export_declaration", "return_label",
	}
	carriers = []string{"Transportes Águia", "Nordpaket", "La Flèche", "Kurier 24", "Atlantic Freight"}
	families = []string{"Outerwear", "Knitwear", "Tops", "Malhas", "Acessórios", "Bademode"}
	issues   = []string{
		"zip does not match city", "street number is missing", "código postal inválido", "state is required",
	}
	fields = []string{"zip", "city", "address", "state", "country_iso2code"}
	sizes  = []string{"XS", "S", "M", "L", "XL", "36", "38/40", "6-9 m", "10 anos", "one size"}
)

type place struct{ city, state, stateCode, zip, iso2, iso3, currency string }

var places = []place{
	{"Porto", "", "", "4000-447", "PT", "PRT", "EUR"},
	{"Lisboa", "", "", "1200-205", "PT", "PRT", "EUR"},
	{"München", "Bayern", "BY", "80331", "DE", "DEU", "EUR"},
	{"Łódź", "województwo łódzkie", "LD", "90-001", "PL", "POL", "PLN"},
	{"København", "", "", "2200", "DK", "DNK", "DKK"},
	{"São Paulo", "São Paulo", "SP", "01310-100", "BR", "BRA", "BRL"},
	{"San Francisco", "California", "CA", "94103", "US", "USA", "USD"},
	{"東京", "東京都", "13", "150-0001", "JP", "JPN", "JPY"},
	{"Paris", "Île-de-France", "IDF", "75006", "FR", "FRA", "EUR"},
	{"London", "", "", "EC1A 1BB", "GB", "GBR", "GBP"},
}

// Composed phrases: every pair of the lists, joined.
var (
	productNames = pairs(garments, " ", colors)
	modelNames   = pairs(families, " / ", garments)
	personNames  = pairs(firsts, " ", lasts)
	fabrics      = pairs(materials, ", ", colors)
)

func pairs(left []string, separator string, right []string) []string {
	all := make([]string, 0, len(left)*len(right))
	for _, l := range left {
		for _, r := range right {
			all = append(all, strings.Join([]string{l, r}, separator))
		}
	}
	return all
}
