//! The file's names of countries as ISO 3166 codes.

/// The code of a name; none for what names no country ("Unspecified", "European Community") or an unknown one.
pub(crate) fn iso_code(name: &str) -> Option<&'static str> {
    let known = COUNTRIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, code)| *code)
}

/// All names of the file that are countries. The Channel Islands are two territories; most people there live on Jersey.
const COUNTRIES: [(&str, &str); 36] = [
    ("Australia", "AU"),
    ("Austria", "AT"),
    ("Bahrain", "BH"),
    ("Belgium", "BE"),
    ("Brazil", "BR"),
    ("Canada", "CA"),
    ("Channel Islands", "JE"),
    ("Cyprus", "CY"),
    ("Czech Republic", "CZ"),
    ("Denmark", "DK"),
    ("EIRE", "IE"),
    ("Finland", "FI"),
    ("France", "FR"),
    ("Germany", "DE"),
    ("Greece", "GR"),
    ("Hong Kong", "HK"),
    ("Iceland", "IS"),
    ("Israel", "IL"),
    ("Italy", "IT"),
    ("Japan", "JP"),
    ("Lebanon", "LB"),
    ("Lithuania", "LT"),
    ("Malta", "MT"),
    ("Netherlands", "NL"),
    ("Norway", "NO"),
    ("Poland", "PL"),
    ("Portugal", "PT"),
    ("RSA", "ZA"),
    ("Saudi Arabia", "SA"),
    ("Singapore", "SG"),
    ("Spain", "ES"),
    ("Sweden", "SE"),
    ("Switzerland", "CH"),
    ("USA", "US"),
    ("United Arab Emirates", "AE"),
    ("United Kingdom", "GB"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_file_have_their_codes_and_no_country_has_none() {
        assert_eq!(iso_code("EIRE"), Some("IE"));
        assert_eq!(iso_code("united kingdom"), Some("GB"));
        assert_eq!(iso_code("Unspecified"), None);
        assert!(COUNTRIES.is_sorted_by(|left, right| left.0 < right.0));
    }
}
