//! Service 01, PIDs 01 to 5F.

use super::{EMISSION_CODES, FUEL_CODES, FUEL_LOOP, IGNITION, REQUIREMENT_CODES, SECONDARY_AIR_CODES};
use crate::obd2::{Kind, Scaling, Signal};

#[rustfmt::skip]
layouts! {
    /// PIDs 01 to 5F.
    basic;
    // Readiness since codes were cleared (names of spark ignition; see `Status` for Diesel engines).
    0x01 {
        "MIL"      @   0  1  - flag       "malfunction indicator lamp is on";
        "DTC_CNT"  @   1  7  - Counter    "number of trouble codes";
        "CCM_RDY"  @   9  1  - flag       "test of components is not complete";
        "FUEL_RDY" @  10  1  - flag       "test of fuel system is not complete";
        "MIS_RDY"  @  11  1  - flag       "test of misfire is not complete";
        "CIM_SUP"  @  12  1  - [IGNITION] "kind of ignition";
        "CCM_SUP"  @  13  1  - flag       "has a test of components";
        "FUEL_SUP" @  14  1  - flag       "has a test of fuel system";
        "MIS_SUP"  @  15  1  - flag       "has a test of misfire";
        "EGR_SUP"  @  16  1  - flag       "has a test of recirculation or valve timing";
        "HTR_SUP"  @  17  1  - flag       "has a test of oxygen sensor heater";
        "O2S_SUP"  @  18  1  - flag       "has a test of oxygen sensor";
        "ACRF_SUP" @  19  1  - flag       "has a test of air conditioning refrigerant";
        "AIR_SUP"  @  20  1  - flag       "has a test of secondary air";
        "EVAP_SUP" @  21  1  - flag       "has a test of evaporative system";
        "HCAT_SUP" @  22  1  - flag       "has a test of heated catalyst";
        "CAT_SUP"  @  23  1  - flag       "has a test of catalyst";
        "EGR_RDY"  @  24  1  - flag       "test of recirculation or valve timing is not complete";
        "HTR_RDY"  @  25  1  - flag       "test of oxygen sensor heater is not complete";
        "O2S_RDY"  @  26  1  - flag       "test of oxygen sensor is not complete";
        "ACRF_RDY" @  27  1  - flag       "test of air conditioning refrigerant is not complete";
        "AIR_RDY"  @  28  1  - flag       "test of secondary air is not complete";
        "EVAP_RDY" @  29  1  - flag       "test of evaporative system is not complete";
        "HCAT_RDY" @  30  1  - flag       "test of heated catalyst is not complete";
        "CAT_RDY"  @  31  1  - flag       "test of catalyst is not complete";
    }
    0x02 { "DTCFRZF" @   0 16  - Counter "trouble code of the freeze frame, as a number"; }
    // Fuel systems.
    0x03 {
        "FUELSYS1" @   0  8  - (FUEL_LOOP) "fuel system 1";
        "FUELSYS2" @   8  8  - (FUEL_LOOP) "fuel system 2";
    }
    0x04 { "LOAD_PCT" @   0  8  - Percent "calculated load"; }
    0x05 { "ECT" @   0  8  - Celsius "coolant temperature"; }
    // Short term fuel trim of banks 1 and 3.
    0x06 {
        "SHRTFT1" @   0  8  - PercentCentered "short term trim, bank 1";
        "SHRTFT3" @   8  8  - PercentCentered "short term trim, bank 3";
    }
    // Long term fuel trim of banks 1 and 3.
    0x07 {
        "LONGFT1" @   0  8  - PercentCentered "long term trim, bank 1";
        "LONGFT3" @   8  8  - PercentCentered "long term trim, bank 3";
    }
    // Short term fuel trim of banks 2 and 4.
    0x08 {
        "SHRTFT2" @   0  8  - PercentCentered "short term trim, bank 2";
        "SHRTFT4" @   8  8  - PercentCentered "short term trim, bank 4";
    }
    // Long term fuel trim of banks 2 and 4.
    0x09 {
        "LONGFT2" @   0  8  - PercentCentered "long term trim, bank 2";
        "LONGFT4" @   8  8  - PercentCentered "long term trim, bank 4";
    }
    0x0A { "FP" @   0  8  - FuelPressure "fuel pressure"; }
    0x0B { "MAP" @   0  8  - Kilopascal "intake manifold pressure"; }
    0x0C { "RPM" @   0 16  - Uas07 "engine speed"; }
    0x0D { "VSS" @   0  8  - Uas09 "vehicle speed"; }
    0x0E { "SPARKADV" @   0  8  - TimingAdvance "spark advance"; }
    0x0F { "IAT" @   0  8  - Celsius "intake air temperature"; }
    0x10 { "MAF" @   0 16  - Uas27 "mass air flow"; }
    0x11 { "TP" @   0  8  - Percent "throttle position"; }
    0x12 { "AIR_STAT" @   0  8  - (SECONDARY_AIR_CODES) "secondary air"; }
    // Oxygen sensors of two banks.
    0x13 {
        "O2S24_EXISTS" @   0  1  - flag "has the sensor of bank 2, place 4";
        "O2S23_EXISTS" @   1  1  - flag "has the sensor of bank 2, place 3";
        "O2S22_EXISTS" @   2  1  - flag "has the sensor of bank 2, place 2";
        "O2S21_EXISTS" @   3  1  - flag "has the sensor of bank 2, place 1";
        "O2S14_EXISTS" @   4  1  - flag "has the sensor of bank 1, place 4";
        "O2S13_EXISTS" @   5  1  - flag "has the sensor of bank 1, place 3";
        "O2S12_EXISTS" @   6  1  - flag "has the sensor of bank 1, place 2";
        "O2S11_EXISTS" @   7  1  - flag "has the sensor of bank 1, place 1";
    }
    // Oxygen sensor.
    0x14 {
        "O2S11"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 1, sensor 1";
        "SHRTFT11" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x15 {
        "O2S12"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 1, sensor 2";
        "SHRTFT12" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x16 {
        "O2S13"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 1, sensor 3";
        "SHRTFT13" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x17 {
        "O2S14"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 1, sensor 4";
        "SHRTFT14" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x18 {
        "O2S21"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 2, sensor 1";
        "SHRTFT21" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x19 {
        "O2S22"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 2, sensor 2";
        "SHRTFT22" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x1A {
        "O2S23"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 2, sensor 3";
        "SHRTFT23" @   8  8  - {PercentCentered} "its short term trim";
    }
    // Oxygen sensor.
    0x1B {
        "O2S24"    @   0  8  - OxygenVolt        "oxygen sensor voltage, bank 2, sensor 4";
        "SHRTFT24" @   8  8  - {PercentCentered} "its short term trim";
    }
    0x1C { "OBDSUP" @   0  8  - [REQUIREMENT_CODES] "what the car was built to"; }
    // Oxygen sensors of four banks.
    0x1D {
        "O2S42_EXISTS" @   0  1  - flag "has the sensor of bank 4, place 2";
        "O2S41_EXISTS" @   1  1  - flag "has the sensor of bank 4, place 1";
        "O2S32_EXISTS" @   2  1  - flag "has the sensor of bank 3, place 2";
        "O2S31_EXISTS" @   3  1  - flag "has the sensor of bank 3, place 1";
        "O2S22_EXISTS" @   4  1  - flag "has the sensor of bank 2, place 2";
        "O2S21_EXISTS" @   5  1  - flag "has the sensor of bank 2, place 1";
        "O2S12_EXISTS" @   6  1  - flag "has the sensor of bank 1, place 2";
        "O2S11_EXISTS" @   7  1  - flag "has the sensor of bank 1, place 1";
    }
    0x1E { "PTO_STAT" @   7  1  - flag "power take-off is active"; }
    0x1F { "RUNTM" @   0 16  - Uas12 "time since the engine started"; }
    0x21 { "MIL_DIST" @   0 16  - Uas25 "distance with the indicator lamp on"; }
    0x22 { "FRP_REL" @   0 16  - Uas19 "fuel rail pressure above manifold vacuum"; }
    0x23 { "FRP" @   0 16  - Uas1B "fuel rail pressure"; }
    // Wide range oxygen sensor.
    0x24 {
        "LAMBDA11_VOLT" @   0 16  - Uas1E          "lambda, bank 1, sensor 1";
        "O2S11_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x25 {
        "LAMBDA12_VOLT" @   0 16  - Uas1E          "lambda, bank 1, sensor 2";
        "O2S12_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x26 {
        "LAMBDA13_VOLT" @   0 16  - Uas1E          "lambda, bank 1, sensor 3";
        "O2S13_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x27 {
        "LAMBDA14_VOLT" @   0 16  - Uas1E          "lambda, bank 1, sensor 4";
        "O2S14_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x28 {
        "LAMBDA21_VOLT" @   0 16  - Uas1E          "lambda, bank 2, sensor 1";
        "O2S21_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x29 {
        "LAMBDA22_VOLT" @   0 16  - Uas1E          "lambda, bank 2, sensor 2";
        "O2S22_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x2A {
        "LAMBDA23_VOLT" @   0 16  - Uas1E          "lambda, bank 2, sensor 3";
        "O2S23_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    // Wide range oxygen sensor.
    0x2B {
        "LAMBDA24_VOLT" @   0 16  - Uas1E          "lambda, bank 2, sensor 4";
        "O2S24_VOLT"    @  16 16  - OxygenWideVolt "its voltage";
    }
    0x2C { "EGR_PCT" @   0  8  - Percent "commanded exhaust gas recirculation"; }
    0x2D { "EGR_ERR" @   0  8  - PercentCentered "error of exhaust gas recirculation"; }
    0x2E { "EVAP_PCT" @   0  8  - Percent "commanded evaporative purge"; }
    0x2F { "FLI" @   0  8  - Percent "fuel level"; }
    0x30 { "WARM_UPS" @   0  8  - Counter "warm-ups since codes were cleared"; }
    0x31 { "CLR_DIST" @   0 16  - Uas25 "distance since codes were cleared"; }
    0x32 { "EVAP_VP" @   0 16  - EvapKilopascal "vapour pressure in the evaporative system"; }
    0x33 { "BARO" @   0  8  - Kilopascal "barometric pressure"; }
    // Wide range oxygen sensor.
    0x34 {
        "LAMBDA11_CURRENT" @   0 16  - Uas1E         "lambda, bank 1, sensor 1";
        "O2S11_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x35 {
        "LAMBDA12_CURRENT" @   0 16  - Uas1E         "lambda, bank 1, sensor 2";
        "O2S12_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x36 {
        "LAMBDA13_CURRENT" @   0 16  - Uas1E         "lambda, bank 1, sensor 3";
        "O2S13_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x37 {
        "LAMBDA14_CURRENT" @   0 16  - Uas1E         "lambda, bank 1, sensor 4";
        "O2S14_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x38 {
        "LAMBDA21_CURRENT" @   0 16  - Uas1E         "lambda, bank 2, sensor 1";
        "O2S21_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x39 {
        "LAMBDA22_CURRENT" @   0 16  - Uas1E         "lambda, bank 2, sensor 2";
        "O2S22_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x3A {
        "LAMBDA23_CURRENT" @   0 16  - Uas1E         "lambda, bank 2, sensor 3";
        "O2S23_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    // Wide range oxygen sensor.
    0x3B {
        "LAMBDA24_CURRENT" @   0 16  - Uas1E         "lambda, bank 2, sensor 4";
        "O2S24_CURRENT"    @  16 16  - OxygenCurrent "its current";
    }
    0x3C { "CATEMP11" @   0 16  - Uas16 "catalyst temperature, bank 1, sensor 1"; }
    0x3D { "CATEMP21" @   0 16  - Uas16 "catalyst temperature, bank 2, sensor 1"; }
    0x3E { "CATEMP12" @   0 16  - Uas16 "catalyst temperature, bank 1, sensor 2"; }
    0x3F { "CATEMP22" @   0 16  - Uas16 "catalyst temperature, bank 2, sensor 2"; }
    // Readiness in this driving cycle.
    0x41 {
        "CCM_CMPL"     @   9  1  - flag       "test of components is not complete";
        "FUEL_CMPL"    @  10  1  - flag       "test of fuel system is not complete";
        "MIS_CMPL"     @  11  1  - flag       "test of misfire is not complete";
        "CIM_SUP_FLAG" @  12  1  - [IGNITION] "kind of ignition";
        "CCM_ENA"      @  13  1  - flag       "test of components is enabled";
        "FUEL_ENA"     @  14  1  - flag       "test of fuel system is enabled";
        "MIS_ENA"      @  15  1  - flag       "test of misfire is enabled";
        "EGR_ENA"      @  16  1  - flag       "test of recirculation or valve timing is enabled";
        "HTR_ENA"      @  17  1  - flag       "test of oxygen sensor heater is enabled";
        "O2S_ENA"      @  18  1  - flag       "test of oxygen sensor is enabled";
        "ACRF_ENA"     @  19  1  - flag       "test of air conditioning refrigerant is enabled";
        "AIR_ENA"      @  20  1  - flag       "test of secondary air is enabled";
        "EVAP_ENA"     @  21  1  - flag       "test of evaporative system is enabled";
        "HCAT_ENA"     @  22  1  - flag       "test of heated catalyst is enabled";
        "CAT_ENA"      @  23  1  - flag       "test of catalyst is enabled";
        "EGR_CMPL"     @  24  1  - flag       "test of recirculation or valve timing is not complete";
        "HTR_CMPL"     @  25  1  - flag       "test of oxygen sensor heater is not complete";
        "O2S_CMPL"     @  26  1  - flag       "test of oxygen sensor is not complete";
        "ACRFCMPL"     @  27  1  - flag       "test of air conditioning refrigerant is not complete";
        "AIR_CMPL"     @  28  1  - flag       "test of secondary air is not complete";
        "EVAPCMPL"     @  29  1  - flag       "test of evaporative system is not complete";
        "HCATCMPL"     @  30  1  - flag       "test of heated catalyst is not complete";
        "CAT_CMPL"     @  31  1  - flag       "test of catalyst is not complete";
    }
    0x42 { "VPWR" @   0 16  - Uas0B "supply voltage of the control module"; }
    0x43 { "LOAD_ABS" @   0 16  - Percent "absolute load"; }
    0x44 { "EQ_RAT" @   0 16  - Uas1E "commanded equivalence ratio"; }
    0x45 { "TP_R" @   0  8  - Percent "relative throttle position"; }
    0x46 { "AAT" @   0  8  - Celsius "ambient air temperature"; }
    0x47 { "TP_B" @   0  8  - Percent "throttle position B"; }
    0x48 { "TP_C" @   0  8  - Percent "throttle position C"; }
    0x49 { "APP_D" @   0  8  - Percent "accelerator pedal D"; }
    0x4A { "APP_E" @   0  8  - Percent "accelerator pedal E"; }
    0x4B { "APP_F" @   0  8  - Percent "accelerator pedal F"; }
    0x4C { "TAC_PCT" @   0  8  - Percent "commanded throttle"; }
    0x4D { "MIL_TIME" @   0 16  - Uas34 "time with the indicator lamp on"; }
    0x4E { "CLR_TIME" @   0 16  - Uas34 "time since codes were cleared"; }
    // The greatest values that sensors report.
    0x4F {
        "MAX_EQ_RAT"  @   0  8  - Ratio         "greatest equivalence ratio";
        "MAX_O2_VOLT" @   8  8  - Volts         "greatest oxygen sensor voltage";
        "MAX_O2_CURR" @  16  8  - Milliamperes  "greatest oxygen sensor current";
        "MAX_MAP"     @  24  8  - TenKilopascal "greatest intake manifold pressure";
    }
    0x50 { "MAX_MAF" @   0  8  - MaxAirFlow "greatest air flow of the sensor"; }
    0x51 { "FUEL_TYP" @   0  8  - [FUEL_CODES] "fuel"; }
    0x52 { "ALCH_PCT" @   0  8  - Percent "alcohol in the fuel"; }
    0x53 { "EVAP_VPA" @   0 16  - EvapPressureAbs "absolute vapour pressure"; }
    0x54 { "EVAP_VP_WIDE" @   0 16  - UasFD "vapour pressure, wide range"; }
    // Short term trim by the secondary oxygen sensors of banks 1 and 3.
    0x55 {
        "STSO2FT1" @   0  8  - PercentCentered "short term secondary trim, bank 1";
        "STSO2FT3" @   8  8  - PercentCentered "short term secondary trim, bank 3";
    }
    // Long term trim by the secondary oxygen sensors of banks 1 and 3.
    0x56 {
        "LGSO2FT1" @   0  8  - PercentCentered "long term secondary trim, bank 1";
        "LGSO2FT3" @   8  8  - PercentCentered "long term secondary trim, bank 3";
    }
    // Short term trim by the secondary oxygen sensors of banks 2 and 4.
    0x57 {
        "STSO2FT2" @   0  8  - PercentCentered "short term secondary trim, bank 2";
        "STSO2FT4" @   8  8  - PercentCentered "short term secondary trim, bank 4";
    }
    // Long term trim by the secondary oxygen sensors of banks 2 and 4.
    0x58 {
        "LGSO2FT2" @   0  8  - PercentCentered "long term secondary trim, bank 2";
        "LGSO2FT4" @   8  8  - PercentCentered "long term secondary trim, bank 4";
    }
    0x59 { "FRP_ABS" @   0 16  - Uas1B "absolute fuel rail pressure"; }
    0x5A { "APP_R" @   0  8  - Percent "relative accelerator pedal position"; }
    0x5B { "BAT_SOC" @   0  8  - Percent "charge of the drive battery"; }
    0x5C { "EOT" @   0  8  - Celsius "oil temperature"; }
    0x5D { "FUEL_TIMING" @   0 16  - InjectionTiming "injection timing"; }
    0x5E { "FUEL_RATE" @   0 16  - FuelRate "fuel rate"; }
    0x5F { "EMIS_SUP" @   0  8  - [EMISSION_CODES] "emission class"; }
}
