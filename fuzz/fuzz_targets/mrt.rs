//! An MRT file.

#![no_main]

use chanter_mrt::bgp4mp;
use chanter_mrt::record::records;
use chanter_mrt::table_dump::{PeerIndex, Rib};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    for record in records(octets).flatten() {
        let mut again = Vec::new();
        record.encode(&mut again);
        let same = records(&again).next();
        assert_eq!(same, Some(Ok(record.clone())));
        let _ = bgp4mp::decode(&record);
        if let Ok(index) = PeerIndex::decode(&record) {
            let mut again = Vec::new();
            index.encode(record.seconds, &mut again);
            let same = records(&again).next().and_then(Result::ok);
            assert_eq!(same.as_ref().map(PeerIndex::decode), Some(Ok(index)));
        }
        let _ = Rib::decode(&record);
        let _ = Rib::decode_generic(&record, 5);
    }
});
