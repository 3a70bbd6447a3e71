//! The names of classes of characters that Go's regular expressions know.

use crate::engines::go::release::GoRelease;

/// The general categories, with those of one letter that contain others.
const CATEGORIES: &str = "C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z \
    Zl Zp Zs";

/// The scripts.
const SCRIPTS: &str = "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali \
    Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma \
    Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari \
    Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic \
    Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo \
    Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese \
    Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai \
    Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic \
    Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive \
    Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari \
    New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian Old_Italic \
    Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya \
    Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic \
    Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese \
    Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu \
    Thaana Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi \
    Yezidi Yi Zanabazar_Square";

/// The classes of POSIX.
const POSIX: &str = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// Other names of the categories, since Go 1.25.
const ALIASES: &str = "Cased_Letter Close_Punctuation Cntrl Combining_Mark Connector_Punctuation Control \
    Currency_Symbol Dash_Punctuation Decimal_Number Digit Enclosing_Mark Final_Punctuation Format \
    Initial_Punctuation Letter Letter_Number Line_Separator Lowercase_Letter Mark Math_Symbol Modifier_Letter \
    Modifier_Symbol Nonspacing_Mark Number Open_Punctuation Other Other_Letter Other_Number Other_Punctuation \
    Other_Symbol Paragraph_Separator Private_Use Punct Punctuation Separator Space_Separator Spacing_Mark \
    Surrogate Symbol Titlecase_Letter Unassigned Uppercase_Letter";

/// Whether `\p{name}` is a class.
pub(crate) fn is_class(name: &str, release: GoRelease) -> bool {
    if release < GoRelease::From1_25 {
        return name == "Any" || has(CATEGORIES, name) || has(SCRIPTS, name);
    }
    let name = bare(name);
    let others = ["Any", "Assigned", "ASCII", "LC", "Cn"];
    let is_other = others.iter().any(|other| bare(other) == name);
    is_other
        || [CATEGORIES, SCRIPTS, ALIASES]
            .iter()
            .any(|names| names.split(' ').any(|known| bare(known) == name))
}

/// A name without what does not count.
fn bare(name: &str) -> String {
    name.replace(['_', '-', ' '], "").to_ascii_lowercase()
}

/// Whether `[:name:]` is a class.
pub(crate) fn is_posix(name: &str) -> bool {
    has(POSIX, name.strip_prefix('^').unwrap_or(name))
}

fn has(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}
